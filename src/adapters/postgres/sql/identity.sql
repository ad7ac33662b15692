-- verified(user_ids) -> UserId
SELECT user_id
FROM tallystick.phone_verifications
WHERE user_id = ANY($1::text[]);

-- record(user_ids, sources, verified_ats) -> nothing
INSERT INTO tallystick.phone_verifications (user_id, source, verified_at)
SELECT new.user_id, new.source, new.verified_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (user_id, source, verified_at)
ORDER BY new.user_id
ON CONFLICT (user_id) DO NOTHING;
