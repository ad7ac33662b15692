-- keep(codes, at) -> Code
-- What a run wrote, and what one is still to write: a click does not wait for its chunk. Both are looked up for every
-- code. In code order: two instances that were clicked alike queue instead of deadlocking.
WITH brought AS (
    SELECT asked.code
    FROM unnest($1::text[]) AS asked (code)
    LEFT JOIN LATERAL (
        SELECT c.backfill_run FROM tallystick.referral_codes AS c WHERE c.code = asked.code OFFSET 0
    ) AS written ON true
    LEFT JOIN LATERAL (
        SELECT k.run FROM tallystick.legacy_codes AS k WHERE k.code = asked.code AND k.kept_by IS NULL OFFSET 0
    ) AS staged ON true
    LEFT JOIN tallystick.backfill_runs AS r ON r.run = staged.run
    WHERE written.backfill_run IS NOT NULL OR r.state IN ('planned', 'applying', 'applied')
    GROUP BY asked.code
), kept AS (
    INSERT INTO tallystick.clicked_codes (code, clicked_at)
    SELECT code, $2::timestamptz
    FROM brought
    ORDER BY code
    ON CONFLICT (code) DO NOTHING
)
SELECT code
FROM brought;
