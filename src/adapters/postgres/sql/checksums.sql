-- edges_here(before) -> Checksum
-- Edges that no backfill wrote.
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', invitee_id, inviter_id), 0)), 0)::text AS total
FROM tallystick.referral_edges
WHERE backfill_run IS NULL AND created_at < $1::timestamptz;

-- points_here(before) -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', user_id, seq, amount, balance_after), 0)), 0)::text AS total
FROM tallystick.ledger_entries
WHERE unit = 'points' AND event_type <> 'backfill' AND created_at < $1::timestamptz;
