-- wrong_invites() -> WrongInvite
-- Reads whole tables: for a maintenance command, not for a request.
SELECT i.invite_id, i.code, i.max_uses, i.current_uses, coalesce(u.users, 0) AS users, coalesce(u.rows, 0) AS rows
FROM tallystick.invites AS i
LEFT JOIN (
    SELECT invite_id, count(DISTINCT user_id) AS users, count(*) AS rows
    FROM tallystick.invite_uses
    GROUP BY invite_id
) AS u ON u.invite_id = i.invite_id
WHERE
    i.current_uses <> coalesce(u.users, 0) OR coalesce(u.rows, 0) <> coalesce(u.users, 0)
    OR coalesce(u.users, 0) > i.max_uses
ORDER BY i.invite_id;

-- lock(code) -> InviteId
SELECT invite_id
FROM tallystick.invites
WHERE code = $1::text
FOR UPDATE;

-- drop_duplicates(invite_id) -> nothing
-- The earliest use of each user stays.
DELETE FROM tallystick.invite_uses
WHERE ctid IN (
    SELECT numbered.ctid
    FROM (
        SELECT ctid, row_number() OVER (PARTITION BY user_id ORDER BY used_at, attempt_id, ctid) AS number
        FROM tallystick.invite_uses
        WHERE invite_id = $1::text
    ) AS numbered
    WHERE numbered.number > 1
);

-- recount(invite_id) -> (max_uses, current_uses)
-- The capacity of an oversold invite is raised to its number of users, so that no user loses a use.
UPDATE tallystick.invites AS i
SET current_uses = u.users, max_uses = greatest(i.max_uses, u.users)
FROM (SELECT count(*) AS users FROM tallystick.invite_uses WHERE invite_id = $1::text) AS u
WHERE i.invite_id = $1::text
RETURNING i.max_uses, i.current_uses;

-- has_key() -> bool
SELECT EXISTS (
    SELECT FROM pg_constraint
    WHERE conname = 'invite_uses_pkey' AND connamespace = 'tallystick'::regnamespace AND convalidated
);
