-- of(user_ids) -> UserSummary
SELECT
    u.user_id, u.created_at, u.email, u.username, u.display_name, u.phone, u.profile_at, u.referrals, u.deleted_at,
    u.email_proved_at, u.username_proved_at, u.username_key,
    c.code,
    v.user_id IS NOT NULL AS otp_verified,
    e.invitee_id IS NOT NULL AS referred,
    coalesce(spent.balance, 0) AS credits,
    coalesce(earned.balance, 0) AS points,
    coalesce(earned.lifetime, 0) AS lifetime_points
FROM tallystick.users AS u
LEFT JOIN tallystick.referral_codes AS c ON c.user_id = u.user_id AND c.is_canonical
LEFT JOIN tallystick.phone_verifications AS v ON v.user_id = u.user_id
LEFT JOIN tallystick.referral_edges AS e ON e.invitee_id = u.user_id
LEFT JOIN tallystick.ledger_accounts AS spent ON spent.user_id = u.user_id AND spent.unit = 'credits'
LEFT JOIN tallystick.ledger_accounts AS earned ON earned.user_id = u.user_id AND earned.unit = 'points'
WHERE u.user_id = ANY($1::text[]);

-- by_email(email_key) -> UserSummary
SELECT
    u.user_id, u.created_at, u.email, u.username, u.display_name, u.phone, u.profile_at, u.referrals, u.deleted_at,
    u.email_proved_at, u.username_proved_at, u.username_key,
    c.code,
    v.user_id IS NOT NULL AS otp_verified,
    e.invitee_id IS NOT NULL AS referred,
    coalesce(spent.balance, 0) AS credits,
    coalesce(earned.balance, 0) AS points,
    coalesce(earned.lifetime, 0) AS lifetime_points
FROM tallystick.users AS u
LEFT JOIN tallystick.referral_codes AS c ON c.user_id = u.user_id AND c.is_canonical
LEFT JOIN tallystick.phone_verifications AS v ON v.user_id = u.user_id
LEFT JOIN tallystick.referral_edges AS e ON e.invitee_id = u.user_id
LEFT JOIN tallystick.ledger_accounts AS spent ON spent.user_id = u.user_id AND spent.unit = 'credits'
LEFT JOIN tallystick.ledger_accounts AS earned ON earned.user_id = u.user_id AND earned.unit = 'points'
WHERE u.email_key = $1::text;
