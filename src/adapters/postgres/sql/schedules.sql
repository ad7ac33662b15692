-- lease(name, now, until, due_at)
-- The row is locked before it is judged: of several who ask at once one gets it.
INSERT INTO tallystick.schedules AS s (name, leased_until)
VALUES ($1::text, $3::timestamptz)
ON CONFLICT (name) DO UPDATE
    SET leased_until = excluded.leased_until
    WHERE s.leased_until <= $2::timestamptz AND (s.last_done_at IS NULL OR s.last_done_at < $4::timestamptz)
RETURNING name;

-- renew(name, held_until, until)
-- Again, where the first answer was lost, it is what it was made.
UPDATE tallystick.schedules
SET leased_until = $3::timestamptz
WHERE name = $1::text AND leased_until IN ($2::timestamptz, $3::timestamptz)
RETURNING name;

-- done(name, held_until, at)
UPDATE tallystick.schedules
SET leased_until = $3::timestamptz, last_done_at = $3::timestamptz
WHERE name = $1::text AND leased_until = $2::timestamptz
RETURNING name;
