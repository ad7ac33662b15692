-- all() -> Pass
SELECT
    promise, began_at, after, violations, skipped, last_began_at, last_violations, last_skipped
FROM tallystick.invariant_passes;

-- put(promise, began_at, after, violations, skipped, last_began_at, last_violations, last_skipped, instead_of) -> str
-- A pass that was reset since then began at another time.
INSERT INTO tallystick.invariant_passes AS held (
    promise, began_at, after, violations, skipped, last_began_at, last_violations, last_skipped
)
VALUES ($1::text, $2::timestamptz, $3::text, $4::bigint, $5::bigint, $6::timestamptz, $7::bigint, $8::bigint)
ON CONFLICT (promise) DO UPDATE SET
    began_at = excluded.began_at, after = excluded.after,
    violations = excluded.violations, skipped = excluded.skipped,
    last_began_at = excluded.last_began_at,
    last_violations = excluded.last_violations, last_skipped = excluded.last_skipped
WHERE held.began_at IN (excluded.began_at, $9::timestamptz)
RETURNING promise;

-- reset(promise, at) -> nothing
UPDATE tallystick.invariant_passes
SET
    began_at = greatest($2::timestamptz, began_at + interval '1 microsecond'), after = '',
    violations = 0, skipped = 0, last_began_at = NULL, last_violations = 0, last_skipped = 0
WHERE promise = $1::text;
