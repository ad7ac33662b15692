-- lock(user_ids) -> User
-- In key order: two batches queue instead of deadlocking. NO KEY: inserts that reference these rows need not wait.
SELECT
    user_id, created_at, email, username, display_name, phone, profile_at, referrals, deleted_at,
    email_proved_at, username_proved_at, username_key
FROM tallystick.users
WHERE user_id = ANY($1::text[])
ORDER BY user_id
FOR NO KEY UPDATE;

-- admit(user_ids, created_at) -> UserId
INSERT INTO tallystick.users (user_id, created_at)
SELECT new.user_id, $2::timestamptz
FROM unnest($1::text[]) AS new (user_id)
ORDER BY new.user_id
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id;

-- find(user_ids) -> User
SELECT
    user_id, created_at, email, username, display_name, phone, profile_at, referrals, deleted_at,
    email_proved_at, username_proved_at, username_key
FROM tallystick.users
WHERE user_id = ANY($1::text[]);

-- holders(email_keys, username_keys) -> User
-- Deleted users have neither, so that none is found.
SELECT
    user_id, created_at, email, username, display_name, phone, profile_at, referrals, deleted_at,
    email_proved_at, username_proved_at, username_key
FROM tallystick.users
WHERE email_key = ANY($1::text[]) OR username_key = ANY($2::text[]);

-- store(user_ids, emails, email_keys, usernames, display_names, phones, profile_ats, referrals, deleted_ats, email_proved_ats, username_proved_ats, username_keys) -> nothing
UPDATE tallystick.users AS held
SET
    email = new.email,
    email_key = new.email_key,
    username = new.username,
    display_name = new.display_name,
    phone = new.phone,
    profile_at = new.profile_at,
    referrals = new.referrals,
    deleted_at = new.deleted_at,
    email_proved_at = new.email_proved_at,
    username_proved_at = new.username_proved_at,
    username_key = new.username_key
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::timestamptz[], $8::bigint[], $9::timestamptz[], $10::timestamptz[], $11::timestamptz[],
    $12::text[]
) AS new (
    user_id, email, email_key, username, display_name, phone, profile_at, referrals, deleted_at,
    email_proved_at, username_proved_at, username_key
)
WHERE held.user_id = new.user_id;

-- deleted(user_ids) -> UserId
SELECT user_id
FROM tallystick.users
WHERE user_id = ANY($1::text[]) AND deleted_at IS NOT NULL;

-- named(user_ids) -> UserId
-- Tables with a foreign key to users need no check. OFFSET 0 makes each check use its index. The uses of invites have
-- no index by user and come last.
SELECT requested.user_id
FROM unnest($1::text[]) AS requested (user_id)
WHERE
    EXISTS (SELECT FROM tallystick.legacy_users AS s WHERE s.user_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.ledger_accounts AS a WHERE a.user_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.rewards AS r WHERE r.owner_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.idempotency_keys AS k WHERE k.caller = requested.user_id OFFSET 0)
    OR EXISTS (
        SELECT FROM tallystick.ledger_entries AS e WHERE e.staff_id = requested.user_id AND e.unit = 'points' OFFSET 0
    )
    OR EXISTS (SELECT FROM tallystick.channel_members AS m WHERE m.user_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.stage_rosters AS r WHERE r.owner_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.roster_slots AS s WHERE s.player_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.session_overlays AS o WHERE o.owner_id = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.flags AS f WHERE f.updated_by = requested.user_id OFFSET 0)
    OR EXISTS (SELECT FROM tallystick.invites AS i WHERE i.owner_id = requested.user_id OFFSET 0)
    OR EXISTS (
        SELECT FROM tallystick.invites AS i
        INNER JOIN tallystick.invite_uses AS u ON u.invite_id = i.invite_id AND u.user_id = requested.user_id
        OFFSET 0
    );

-- deleted_since(deleted_at, user_id, limit) -> (deleted_at, user_id)
SELECT deleted_at, user_id
FROM tallystick.users
WHERE deleted_at IS NOT NULL AND (deleted_at, user_id) > ($1::timestamptz, $2::text)
ORDER BY deleted_at, user_id
LIMIT $3::bigint;
