-- of_player(player_id, before, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND user_id = $1::text
    AND seq < $2::bigint
ORDER BY seq DESC
LIMIT $3::bigint;

-- of_players_request(player_id, correlation_id, staff_id, event_type, before, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND user_id = $1::text
    AND correlation_id = $2::text
    AND ($3::text IS NULL OR staff_id = $3::text) AND ($4::text IS NULL OR event_type = $4::text)
    AND seq < $5::bigint
ORDER BY seq DESC
LIMIT $6::bigint;

-- of_players_staff(player_id, staff_id, event_type, before, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND user_id = $1::text
    AND staff_id = $2::text
    AND ($3::text IS NULL OR event_type = $3::text)
    AND seq < $4::bigint
ORDER BY seq DESC
LIMIT $5::bigint;

-- of_players_kind(player_id, event_type, before, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND user_id = $1::text
    AND event_type = $2::text
    AND seq < $3::bigint
ORDER BY seq DESC
LIMIT $4::bigint;

-- of_request(correlation_id, staff_id, event_type, created_at, user_id, seq, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND correlation_id = $1::text
    AND ($2::text IS NULL OR staff_id = $2::text) AND ($3::text IS NULL OR event_type = $3::text)
    AND (created_at, user_id, seq) < ($4::timestamptz, $5::text, $6::bigint)
ORDER BY created_at DESC, user_id DESC, seq DESC
LIMIT $7::bigint;

-- of_staff(staff_id, event_type, created_at, user_id, seq, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND staff_id = $1::text
    AND ($2::text IS NULL OR event_type = $2::text)
    AND (created_at, user_id, seq) < ($3::timestamptz, $4::text, $5::bigint)
ORDER BY created_at DESC, user_id DESC, seq DESC
LIMIT $6::bigint;

-- of_kind(event_type, created_at, user_id, seq, limit) -> Entry
SELECT
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason, staff_id, tier_before,
    tier_after, correlation_id, created_at, lifetime_after, tier_progress
FROM tallystick.ledger_entries
WHERE
    unit = 'points' AND event_type = $1::text
    AND (created_at, user_id, seq) < ($2::timestamptz, $3::text, $4::bigint)
ORDER BY created_at DESC, user_id DESC, seq DESC
LIMIT $5::bigint;
