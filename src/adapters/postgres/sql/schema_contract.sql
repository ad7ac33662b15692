-- hold(lock_id) -> bool
-- A migrator holds this lock alone while it changes the schema.
SELECT pg_try_advisory_xact_lock_shared($1::bigint) AS is_held;
