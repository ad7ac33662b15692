-- all() -> Pass
SELECT
    promise, began_at, after, violations, skipped, last_began_at, last_violations, last_skipped
FROM tallystick.invariant_passes;

-- put(promise, began_at, after, violations, skipped, last_began_at, last_violations, last_skipped) -> nothing
INSERT INTO tallystick.invariant_passes (
    promise, began_at, after, violations, skipped, last_began_at, last_violations, last_skipped
)
VALUES ($1::text, $2::timestamptz, $3::text, $4::bigint, $5::bigint, $6::timestamptz, $7::bigint, $8::bigint)
ON CONFLICT (promise) DO UPDATE SET
    began_at = excluded.began_at, after = excluded.after,
    violations = excluded.violations, skipped = excluded.skipped,
    last_began_at = excluded.last_began_at,
    last_violations = excluded.last_violations, last_skipped = excluded.last_skipped;
