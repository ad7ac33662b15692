-- one_code_each()
SELECT count(*)
FROM tallystick.users AS u
WHERE u.deleted_at IS NULL AND EXISTS (
    SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = u.user_id
) AND 1 <> (
    SELECT count(*) FROM tallystick.referral_codes AS c WHERE c.user_id = u.user_id AND c.is_canonical
);

-- living_codes_resolve()
SELECT count(*)
FROM tallystick.referral_codes AS c
INNER JOIN tallystick.users AS u ON u.user_id = c.user_id
WHERE (c.retired_at IS NULL) <> (u.deleted_at IS NULL);

-- verified_users_exist()
SELECT count(*)
FROM tallystick.phone_verifications AS v
LEFT JOIN tallystick.users AS u ON u.user_id = v.user_id
WHERE u.user_id IS NULL;

-- one_inviter_no_cycle()
SELECT count(*)
FROM tallystick.referral_edges AS e
LEFT JOIN tallystick.referral_edges AS back ON back.invitee_id = e.inviter_id AND back.inviter_id = e.invitee_id
WHERE e.invitee_id = e.inviter_id OR back.invitee_id IS NOT NULL;

-- referrals_are_edges()
SELECT count(*)
FROM tallystick.users AS u
WHERE u.referrals <> (SELECT count(*) FROM tallystick.referral_edges AS e WHERE e.inviter_id = u.user_id);
