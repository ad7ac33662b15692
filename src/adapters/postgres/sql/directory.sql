-- find(user_ids) -> Credentials
SELECT user_id, password_hash, created_at
FROM tallystick.credentials
WHERE user_id = ANY($1::text[]);

-- lock(user_ids) -> Credentials
-- This lock serialises the starts and ends of a user's sessions.
SELECT user_id, password_hash, created_at
FROM tallystick.credentials
WHERE user_id = ANY($1::text[])
ORDER BY user_id
FOR NO KEY UPDATE;

-- by_email(email_key) -> Credentials
-- Deleted users have no address, so that none is found.
SELECT c.user_id, c.password_hash, c.created_at
FROM tallystick.users AS u
INNER JOIN tallystick.credentials AS c ON c.user_id = u.user_id
WHERE u.email_key = $1::text;

-- enrol(user_ids, password_hashes, created_ats) -> nothing
INSERT INTO tallystick.credentials (user_id, password_hash, created_at)
SELECT new.user_id, new.password_hash, new.created_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[]) AS new (user_id, password_hash, created_at)
ORDER BY new.user_id;

-- forget(user_ids) -> nothing
UPDATE tallystick.credentials
SET password_hash = NULL
WHERE user_id = ANY($1::text[]) AND password_hash IS NOT NULL;

-- replace(user_ids, password_hashes) -> nothing
UPDATE tallystick.credentials AS held
SET password_hash = new.password_hash
FROM unnest($1::text[], $2::text[]) AS new (user_id, password_hash)
WHERE held.user_id = new.user_id;
