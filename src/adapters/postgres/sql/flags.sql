-- all() -> Switch
SELECT name AS flag, enabled, updated_at, updated_by
FROM tallystick.flags
ORDER BY name;

-- store(names, enabled, updated_at, updated_by) -> nothing
-- In name order: two transactions that switch several flags queue instead of deadlocking.
INSERT INTO tallystick.flags (name, enabled, updated_at, updated_by)
SELECT new.name, new.enabled, new.updated_at, new.updated_by
FROM unnest($1::text[], $2::boolean[], $3::timestamptz[], $4::text[]) AS new (name, enabled, updated_at, updated_by)
ORDER BY new.name
ON CONFLICT (name) DO UPDATE
SET enabled = excluded.enabled, updated_at = excluded.updated_at, updated_by = excluded.updated_by;

-- notify(channel) -> nothing
-- PostgreSQL delivers the notification at the commit. NOTIFY then takes a lock on the whole database, so it is never
-- sent in a transaction that changes balances.
SELECT pg_notify($1::text, '');
