-- codes(code, limit) -> ExportedCode
-- Scanning the primary key and skipping aliases is cheap, because most codes are canonical.
SELECT code, user_id, created_at, retired_at
FROM tallystick.referral_codes
WHERE is_canonical AND code > $1::text
ORDER BY code
LIMIT $2::bigint;

-- aliases(user_id, code, limit) -> ExportedAlias
SELECT user_id, code, created_at, demoted_at, retired_at
FROM tallystick.referral_codes
WHERE NOT is_canonical AND (user_id, code) > ($1::text, $2::text)
ORDER BY user_id, code
LIMIT $3::bigint;

-- edges(invitee_id, limit) -> ExportedEdge
SELECT invitee_id, inviter_id, code, created_at
FROM tallystick.referral_edges
WHERE invitee_id > $1::text
ORDER BY invitee_id
LIMIT $2::bigint;

-- entries(user_id, unit, seq, limit) -> EntryView
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at
FROM tallystick.ledger_entries
WHERE (user_id, unit, seq) > ($1::text, $2::text, $3::bigint)
ORDER BY user_id, unit, seq
LIMIT $4::bigint;

-- conflicts(code, user_id, limit) -> ExportedConflict
SELECT code, user_id, kept_by, reason, created_at
FROM tallystick.code_conflicts
WHERE (code, user_id) > ($1::text, $2::text)
ORDER BY code, user_id
LIMIT $3::bigint;
