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

-- unprotected_tables() -> str
SELECT relname AS name
FROM pg_class
WHERE
    relnamespace = 'tallystick'::regnamespace AND relkind IN ('r', 'p')
    AND NOT (relrowsecurity AND relforcerowsecurity);
