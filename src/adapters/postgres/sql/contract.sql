-- server() -> (is_replica, is_read_only, fsync, synchronous_commit, full_page_writes, version)
SELECT
    pg_is_in_recovery() AS is_replica,
    current_setting('transaction_read_only') = 'on' AS is_read_only,
    current_setting('fsync') = 'on' AS fsync,
    current_setting('synchronous_commit') <> 'off' AS synchronous_commit,
    current_setting('full_page_writes') = 'on' AS full_page_writes,
    current_setting('server_version_num')::integer AS version;

-- clock() -> datetime
SELECT clock_timestamp() AS now;

-- session_settings(names) -> (name, setting)
SELECT name, setting
FROM pg_settings
WHERE name = ANY($1::text[]);

-- role() -> (is_service, is_above_policies)
SELECT
    current_user = 'tallystick_app' AS is_service,
    rolsuper OR rolbypassrls AS is_above_policies
FROM pg_roles
WHERE rolname = current_user;

-- login() -> (is_superuser, is_above_policies, may_create_roles, may_replicate, may_write_all, is_owner)
-- The powers of the session's user, and of all roles that SET ROLE allows.
WITH reachable AS (
    SELECT oid, rolname, rolsuper, rolbypassrls, rolcreaterole, rolreplication
    FROM pg_roles
    WHERE pg_has_role(session_user, oid, 'MEMBER')
)

SELECT
    bool_or(rolsuper) AS is_superuser,
    bool_or(rolbypassrls) AS is_above_policies,
    bool_or(rolcreaterole) AS may_create_roles,
    bool_or(rolreplication) AS may_replicate,
    bool_or(rolname IN ('pg_write_all_data', 'pg_execute_server_program', 'pg_write_server_files')) AS may_write_all,
    bool_or(
        oid IN (SELECT nspowner FROM pg_namespace WHERE nspname = 'tallystick')
        OR oid IN (SELECT relowner FROM pg_class WHERE relnamespace = to_regnamespace('tallystick'))
        OR oid IN (SELECT datdba FROM pg_database WHERE datname = current_database())
    ) AS is_owner
FROM reachable;

-- migrations() -> (version, checksum)
SELECT version, checksum
FROM tallystick.schema_migrations
ORDER BY version;

-- constraints() -> str
-- Validated constraints, and valid unique indexes that take the place of constraints.
SELECT c.conname AS name
FROM pg_constraint AS c
WHERE c.connamespace = 'tallystick'::regnamespace AND c.convalidated
UNION
SELECT i.relname
FROM pg_index AS x
INNER JOIN pg_class AS i ON i.oid = x.indexrelid
WHERE i.relnamespace = 'tallystick'::regnamespace AND x.indisunique AND x.indisvalid;

-- unguarded_tables() -> str
SELECT relname AS name
FROM pg_class
WHERE
    relnamespace = 'tallystick'::regnamespace AND relkind IN ('r', 'p')
    AND NOT (relrowsecurity AND relforcerowsecurity);

-- privileges() -> (table_name, may_update, may_delete, may_truncate)
SELECT
    t.relname AS table_name,
    ARRAY(
        SELECT a.attname::text FROM pg_attribute AS a
        WHERE
            a.attrelid = t.oid AND a.attnum > 0 AND NOT a.attisdropped
            AND has_column_privilege('tallystick_app', t.oid, a.attnum, 'UPDATE')
    ) AS may_update,
    has_table_privilege('tallystick_app', t.oid, 'DELETE') AS may_delete,
    has_table_privilege('tallystick_app', t.oid, 'TRUNCATE') AS may_truncate
FROM pg_class AS t
WHERE t.relnamespace = 'tallystick'::regnamespace AND t.relkind IN ('r', 'p');
