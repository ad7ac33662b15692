-- keep(codes, at)
-- In code order: two instances that were clicked alike queue instead of deadlocking.
WITH written AS (
    SELECT code
    FROM tallystick.referral_codes
    WHERE code = ANY($1::text[]) AND backfill_run IS NOT NULL
), kept AS (
    INSERT INTO tallystick.clicked_codes (code, clicked_at)
    SELECT code, $2::timestamptz
    FROM written
    ORDER BY code
    ON CONFLICT (code) DO NOTHING
)
SELECT code
FROM written;
