-- lease(name, now, until, due_at) -> bool
-- The first request for a schedule only creates its row: no earlier run was missed. ON CONFLICT locks the row before
-- the condition is checked, so that one of several concurrent instances gets the lease. A time more than a day ahead
-- comes from a wrong clock and is ignored.
INSERT INTO tallystick.schedules AS s (name, leased_until, last_done_at)
VALUES ($1::text, $2::timestamptz, $2::timestamptz)
ON CONFLICT (name) DO UPDATE
    SET leased_until = $3::timestamptz
    WHERE
        s.leased_until NOT BETWEEN $2::timestamptz + interval '1 microsecond' AND $2::timestamptz + interval '1 day'
        AND (
            s.last_done_at IS NULL
            OR s.last_done_at NOT BETWEEN $4::timestamptz AND $2::timestamptz + interval '1 day'
        )
RETURNING leased_until = $3::timestamptz AS is_ours;

-- renew(name, held_until, until) -> str
-- A retry after a lost answer finds the new time and succeeds.
UPDATE tallystick.schedules
SET leased_until = $3::timestamptz
WHERE name = $1::text AND leased_until IN ($2::timestamptz, $3::timestamptz)
RETURNING name;

-- done(name, held_until, at) -> str
UPDATE tallystick.schedules
SET leased_until = $3::timestamptz, last_done_at = $3::timestamptz
WHERE name = $1::text AND leased_until = $2::timestamptz
RETURNING name;

-- successes(names) -> (name, last_done_at)
SELECT name, last_done_at FROM tallystick.schedules WHERE name = ANY($1::text[]) AND last_done_at IS NOT NULL;
