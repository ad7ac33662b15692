-- add(code, invite_id, owner_id, max_uses, expires_at, created_at) -> nothing
INSERT INTO tallystick.invites (code, invite_id, owner_id, max_uses, expires_at, created_at)
VALUES ($1::text, $2::text, $3::text, $4::bigint, $5::timestamptz, $6::timestamptz)
ON CONFLICT DO NOTHING;

-- find(invite_id) -> Invite
SELECT invite_id, code, owner_id, max_uses, current_uses, expires_at, revoked_at, created_at
FROM tallystick.invites
WHERE invite_id = $1::text;

-- by_code(codes) -> Invite
SELECT invite_id, code, owner_id, max_uses, current_uses, expires_at, revoked_at, created_at
FROM tallystick.invites
WHERE code = ANY($1::text[]);

-- lock(codes) -> Invite
-- In code order: two batches queue instead of deadlocking. NO KEY: inserted uses that reference these rows need not
-- wait.
SELECT invite_id, code, owner_id, max_uses, current_uses, expires_at, revoked_at, created_at
FROM tallystick.invites
WHERE code = ANY($1::text[])
ORDER BY code
FOR NO KEY UPDATE;

-- store(codes, current_uses, revoked_ats) -> nothing
UPDATE tallystick.invites AS held
SET current_uses = new.current_uses, revoked_at = new.revoked_at
FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS new (code, current_uses, revoked_at)
WHERE held.code = new.code;

-- seats(invite_ids, user_ids, all_user_ids) -> InviteUse
-- Uses that are stored already and, in rows without an invite, users who were deleted: one round trip, and no rows for
-- nearly all users. OFFSET 0 makes it one look-up by key for each: a plan made while a table was small would scan all
-- of it later.
SELECT held.invite_id, held.user_id, held.attempt_id, held.used_at
FROM unnest($1::text[], $2::text[]) AS requested (invite_id, user_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM tallystick.invite_uses AS seat
    WHERE seat.invite_id = requested.invite_id AND seat.user_id = requested.user_id
    OFFSET 0
) AS held
UNION ALL
SELECT NULL AS invite_id, deleted_user.user_id, NULL AS attempt_id, deleted_user.deleted_at AS used_at
FROM tallystick.users AS deleted_user
WHERE deleted_user.user_id = ANY($3::text[]) AND deleted_user.deleted_at IS NOT NULL;

-- record_uses(invite_ids, user_ids, attempt_ids, used_ats) -> nothing
-- Uses and the counters of their invites in one round trip, so that the row locks are held for less time.
WITH taken AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::text[], $4::timestamptz[]) AS new (invite_id, user_id, attempt_id, used_at)
),

recorded AS (
    INSERT INTO tallystick.invite_uses (invite_id, user_id, attempt_id, used_at)
    SELECT invite_id, user_id, attempt_id, used_at
    FROM taken
)

UPDATE tallystick.invites AS held
SET current_uses = held.current_uses + new.seats
FROM (SELECT invite_id, count(*) AS seats FROM taken GROUP BY invite_id) AS new
WHERE held.invite_id = new.invite_id AND held.invite_id = ANY($1::text[]);

-- uses_of(invite_id, limit) -> InviteUse
SELECT invite_id, user_id, attempt_id, used_at
FROM tallystick.invite_uses
WHERE invite_id = $1::text
ORDER BY used_at, user_id
LIMIT $2::bigint;

-- uses_of_after(invite_id, used_at, user_id, limit) -> InviteUse
SELECT invite_id, user_id, attempt_id, used_at
FROM tallystick.invite_uses
WHERE invite_id = $1::text AND (used_at, user_id) > ($2::timestamptz, $3::text)
ORDER BY used_at, user_id
LIMIT $4::bigint;
