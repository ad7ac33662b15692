-- fingerprint() -> str
-- Changes with each row of the catalogue that `contents` reads. It locks no table, as `contents` does for definitions.
-- A new default changes the row of its column, too.
WITH tables AS (
    SELECT oid FROM pg_class
    WHERE relnamespace = 'tallystick'::regnamespace AND relkind IN ('r', 'p')
),

versions AS (
    SELECT 'namespace' AS origin, xmin, ctid FROM pg_namespace
    WHERE oid = 'tallystick'::regnamespace
    UNION ALL
    SELECT 'class', xmin, ctid FROM pg_class
    WHERE relnamespace = 'tallystick'::regnamespace
    UNION ALL
    SELECT 'attribute', xmin, ctid FROM pg_attribute
    WHERE attrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'constraint', xmin, ctid FROM pg_constraint
    WHERE conrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'index', xmin, ctid FROM pg_index
    WHERE indrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'policy', xmin, ctid FROM pg_policy
    WHERE polrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'trigger', xmin, ctid FROM pg_trigger
    WHERE tgrelid IN (SELECT oid FROM tables)
    UNION ALL
    SELECT 'membership', xmin, ctid FROM pg_auth_members
)

SELECT
    (SELECT md5(string_agg(concat_ws(' ', origin, xmin, ctid), ',' ORDER BY origin, ctid)) FROM versions)
    || (SELECT md5(r::text) FROM pg_roles AS r WHERE rolname = 'tallystick_app') AS fingerprint;

-- contents() -> (owner, item, definition)
-- The owner of an item is a table, the schema or a role. The text of a definition does not depend on the version of
-- PostgreSQL, on the search path, on the owner's name or on storage parameters. A restore by pg_restore changes the
-- parentheses of conditions: they are printed without those that mean nothing.
WITH tables AS (
    SELECT oid, relname::text AS name, relpersistence, relrowsecurity, relforcerowsecurity
    FROM pg_class
    WHERE relnamespace = 'tallystick'::regnamespace AND relkind IN ('r', 'p')
),

columns AS (
    SELECT
        t.oid AS table_id, t.name AS table_name, a.attnum AS number, a.attname::text AS name,
        concat_ws(
            ' ',
            format_type(a.atttypid, a.atttypmod),
            CASE WHEN a.attcollation <> y.typcollation THEN 'COLLATE ' || a.attcollation::regcollation END,
            CASE
                WHEN NOT a.attnotnull THEN NULL
                WHEN EXISTS (
                    SELECT FROM pg_constraint AS c
                    WHERE
                        c.conrelid = t.oid AND c.contype = 'n' AND c.conkey = ARRAY[a.attnum] AND NOT c.convalidated
                ) THEN 'NOT NULL NOT VALID'
                ELSE 'NOT NULL'
            END,
            CASE a.attidentity WHEN 'a' THEN 'GENERATED ALWAYS AS IDENTITY' WHEN 'd' THEN 'GENERATED AS IDENTITY' END,
            CASE WHEN a.attgenerated = '' THEN 'DEFAULT ' ELSE 'GENERATED ' || a.attgenerated::text || ' AS ' END
            || pg_get_expr(d.adbin, d.adrelid)
        ) AS definition
    FROM tables AS t
    INNER JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
    INNER JOIN pg_type AS y ON y.oid = a.atttypid
    LEFT JOIN pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
),

service AS (
    SELECT oid, rolname::text AS name, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolreplication
    FROM pg_roles
    WHERE rolname = 'tallystick_app'
)

SELECT name AS owner, 'table' AS item, CASE relpersistence WHEN 'p' THEN 'LOGGED' ELSE 'UNLOGGED' END AS definition
FROM tables
UNION ALL
SELECT
    name, 'row level security',
    CASE WHEN relrowsecurity AND relforcerowsecurity THEN 'forced' WHEN relrowsecurity THEN 'not forced' ELSE 'off' END
FROM tables
UNION ALL
SELECT table_name, 'column ' || name, definition FROM columns
UNION ALL
SELECT
    t.name, 'constraint ' || c.conname,
    concat_ws(
        ' ',
        replace(pg_get_constraintdef(c.oid, c.contype = 'c'), ' REFERENCES tallystick.', ' REFERENCES '),
        CASE WHEN c.conindid <> 0 AND c.contype <> 'f' AND NOT x.indisvalid THEN 'INVALID' END,
        CASE
            WHEN EXISTS (SELECT FROM pg_trigger AS g WHERE g.tgconstraint = c.oid AND g.tgenabled <> 'O')
                THEN 'DISABLED'
        END
    )
FROM tables AS t
INNER JOIN pg_constraint AS c ON c.conrelid = t.oid AND c.contype <> 'n'
LEFT JOIN pg_index AS x ON x.indexrelid = c.conindid
UNION ALL
SELECT
    t.name, 'index ' || i.relname,
    regexp_replace(pg_get_indexdef(x.indexrelid), ' WITH \([^)]*\)', '')
    || CASE WHEN x.indisvalid AND x.indisready THEN '' ELSE ' INVALID' END
FROM tables AS t
INNER JOIN pg_index AS x ON x.indrelid = t.oid
INNER JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE NOT EXISTS (
    SELECT FROM pg_constraint AS c WHERE c.conrelid = t.oid AND c.conindid = x.indexrelid AND c.contype <> 'f'
)
UNION ALL
SELECT
    t.name, 'policy ' || p.polname,
    concat_ws(
        ' ',
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
        'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
        'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')'
    )
FROM tables AS t
INNER JOIN pg_policy AS p ON p.polrelid = t.oid
CROSS JOIN service AS s
WHERE p.polroles && ARRAY[0::oid, s.oid]
UNION ALL
SELECT t.name, 'grant ' || v.privilege, 'granted'
FROM tables AS t
CROSS JOIN service AS s
CROSS JOIN unnest(
    ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']
) AS v (privilege)
WHERE has_table_privilege(s.oid, t.oid, v.privilege)
UNION ALL
SELECT c.table_name, 'grant ' || v.privilege || ' (' || c.name || ')', 'granted'
FROM columns AS c
CROSS JOIN service AS s
CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'REFERENCES']) AS v (privilege)
WHERE
    has_column_privilege(s.oid, c.table_id, c.number, v.privilege)
    AND NOT has_table_privilege(s.oid, c.table_id, v.privilege)
UNION ALL
SELECT 'tallystick', 'grant ' || v.privilege, 'granted'
FROM service AS s
CROSS JOIN unnest(ARRAY['USAGE', 'CREATE']) AS v (privilege)
WHERE has_schema_privilege(s.oid, 'tallystick', v.privilege)
UNION ALL
SELECT
    name, 'role',
    concat_ws(
        ' ',
        CASE WHEN rolsuper THEN 'SUPERUSER' ELSE 'NOSUPERUSER' END,
        CASE WHEN rolbypassrls THEN 'BYPASSRLS' ELSE 'NOBYPASSRLS' END,
        CASE WHEN rolcreaterole THEN 'CREATEROLE' ELSE 'NOCREATEROLE' END,
        CASE WHEN rolcreatedb THEN 'CREATEDB' ELSE 'NOCREATEDB' END,
        CASE WHEN rolreplication THEN 'REPLICATION' ELSE 'NOREPLICATION' END
    )
FROM service
ORDER BY owner, item;
