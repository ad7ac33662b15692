-- all() -> Switch
SELECT name AS flag, enabled, updated_at, updated_by
FROM tallystick.flags
ORDER BY name;

-- store(names, enabled, updated_at, updated_by) -> nothing
-- In the order of names: two who switch several of them queue instead of deadlocking.
INSERT INTO tallystick.flags (name, enabled, updated_at, updated_by)
SELECT new.name, new.enabled, new.updated_at, new.updated_by
FROM unnest($1::text[], $2::boolean[], $3::timestamptz[], $4::text[]) AS new (name, enabled, updated_at, updated_by)
ORDER BY new.name
ON CONFLICT (name) DO UPDATE
SET enabled = excluded.enabled, updated_at = excluded.updated_at, updated_by = excluded.updated_by;

-- notify(channel) -> nothing
-- Heard at the commit. It takes a lock of the whole database there, and so never stands beside money.
SELECT pg_notify($1::text, '');
