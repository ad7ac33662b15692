-- find(user_ids) -> Session
SELECT user_id, session_id, created_at, expires_at
FROM tallystick.sessions
WHERE user_id = ANY($1::text[])
ORDER BY created_at, session_id;

-- living(user_ids, session_ids) -> SessionKey
-- The deletion of a user removes these rows; a row that is still there does not count.
SELECT s.user_id, s.session_id
FROM tallystick.sessions AS s
INNER JOIN unnest($1::text[], $2::text[]) AS requested (user_id, session_id)
ON s.user_id = requested.user_id AND s.session_id = requested.session_id
WHERE NOT EXISTS (SELECT FROM tallystick.users AS u WHERE u.user_id = s.user_id AND u.deleted_at IS NOT NULL);

-- start(user_ids, session_ids, created_ats, expires_ats) -> nothing
-- A retry after a lost answer finds the row and changes nothing.
INSERT INTO tallystick.sessions (user_id, session_id, created_at, expires_at)
SELECT new.user_id, new.session_id, new.created_at, new.expires_at
FROM unnest($1::text[], $2::text[], $3::timestamptz[], $4::timestamptz[])
AS new (user_id, session_id, created_at, expires_at)
ORDER BY new.user_id, new.session_id
ON CONFLICT (user_id, session_id) DO NOTHING;

-- end_all(user_ids, session_ids) -> nothing
DELETE FROM tallystick.sessions AS s
USING unnest($1::text[], $2::text[]) AS ended (user_id, session_id)
WHERE s.user_id = ended.user_id AND s.session_id = ended.session_id;

-- forget(before, limit) -> nothing
DELETE FROM tallystick.sessions
WHERE (user_id, session_id) IN (
    SELECT user_id, session_id
    FROM tallystick.sessions
    WHERE expires_at < $1::timestamptz
    ORDER BY expires_at
    LIMIT $2::bigint
);
