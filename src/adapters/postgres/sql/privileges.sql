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
