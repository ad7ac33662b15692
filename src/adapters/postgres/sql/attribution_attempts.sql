-- record(user_ids, code_digests, reasons, attempted_ats) -> nothing
INSERT INTO tallystick.attribution_attempts AS held (user_id, code_digest, reason, attempted_at)
SELECT new.user_id, new.code_digest, new.reason, new.attempted_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS new (user_id, code_digest, reason, attempted_at)
ORDER BY new.user_id, new.code_digest, new.reason
ON CONFLICT (user_id, code_digest, reason) DO UPDATE SET attempted_at = excluded.attempted_at;

-- trim(user_ids, kept) -> nothing
-- A separate statement, because a statement does not see rows that it inserts itself.
DELETE FROM tallystick.attribution_attempts AS held
USING (
    SELECT
        user_id, code_digest, reason,
        row_number() OVER (PARTITION BY user_id ORDER BY attempted_at DESC, code_digest, reason) AS age_rank
    FROM tallystick.attribution_attempts
    WHERE user_id = ANY($1::text[])
) AS ranked
WHERE
    held.user_id = ranked.user_id AND held.code_digest = ranked.code_digest AND held.reason = ranked.reason
    AND ranked.age_rank > $2::bigint;

-- of_user(user_id) -> AttributionAttempt
SELECT user_id, code_digest, reason, attempted_at
FROM tallystick.attribution_attempts
WHERE user_id = $1::text
ORDER BY attempted_at DESC, code_digest, reason;

-- forget(user_ids) -> nothing
DELETE FROM tallystick.attribution_attempts
WHERE user_id = ANY($1::text[]);
