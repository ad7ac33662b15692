-- keep(codes, at) -> Code
-- Codes that a backfill wrote or will write: a click may come before the chunk of its code. Both tables are looked up
-- for every code. Rows are inserted in code order, so that two instances queue instead of deadlocking.
WITH imported AS (
    SELECT requested.code
    FROM unnest($1::text[]) AS requested (code)
    LEFT JOIN LATERAL (
        SELECT c.backfill_run FROM tallystick.referral_codes AS c WHERE c.code = requested.code OFFSET 0
    ) AS written ON true
    LEFT JOIN LATERAL (
        SELECT k.run FROM tallystick.legacy_codes AS k WHERE k.code = requested.code AND k.kept_by IS NULL OFFSET 0
    ) AS staged ON true
    LEFT JOIN tallystick.backfill_runs AS r ON r.run = staged.run
    WHERE written.backfill_run IS NOT NULL OR r.state IN ('planned', 'applying', 'applied')
    GROUP BY requested.code
), kept AS (
    INSERT INTO tallystick.clicked_codes (code, clicked_at)
    SELECT code, $2::timestamptz
    FROM imported
    ORDER BY code
    ON CONFLICT (code) DO NOTHING
)
SELECT code
FROM imported;
