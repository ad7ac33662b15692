-- lock(user_ids)
-- Key order makes two batches queue instead of deadlocking. NO KEY: foreign keys to these rows need not wait.
SELECT user_id, email, username, display_name, phone, profile_at, referrals, created_at, deleted_at
FROM tallystick.users
WHERE user_id = ANY($1::text[])
ORDER BY user_id
FOR NO KEY UPDATE;

-- admit(user_ids, created_at)
INSERT INTO tallystick.users (user_id, created_at)
SELECT new.user_id, $2::timestamptz
FROM unnest($1::text[]) AS new (user_id)
ORDER BY new.user_id
ON CONFLICT (user_id) DO NOTHING
RETURNING user_id;

-- find(user_ids)
SELECT user_id, email, username, display_name, phone, profile_at, referrals, created_at, deleted_at
FROM tallystick.users
WHERE user_id = ANY($1::text[]);

-- holders(email_keys, usernames)
-- Deleted users hold neither.
SELECT user_id, email, username, display_name, phone, profile_at, referrals, created_at, deleted_at
FROM tallystick.users
WHERE email_key = ANY($1::text[]) OR username = ANY($2::text[]);

-- store(user_ids, emails, email_keys, usernames, display_names, phones, profile_ats, referrals, deleted_ats)
UPDATE tallystick.users AS held
SET
    email = new.email,
    email_key = new.email_key,
    username = new.username,
    display_name = new.display_name,
    phone = new.phone,
    profile_at = new.profile_at,
    referrals = new.referrals,
    deleted_at = new.deleted_at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[],
    $7::timestamptz[], $8::bigint[], $9::timestamptz[]
) AS new (user_id, email, email_key, username, display_name, phone, profile_at, referrals, deleted_at)
WHERE held.user_id = new.user_id;

-- deleted(user_ids)
SELECT user_id
FROM tallystick.users
WHERE user_id = ANY($1::text[]) AND deleted_at IS NOT NULL;
