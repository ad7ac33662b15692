-- find(user_ids) -> Player
SELECT
    u.user_id, u.deleted_at IS NOT NULL AS is_deleted,
    a.unit, a.balance, a.version, a.lifetime, a.updated_at, a.frozen_at
FROM tallystick.users AS u
LEFT JOIN tallystick.ledger_accounts AS a ON a.user_id = u.user_id AND a.unit = 'points'
WHERE u.user_id = ANY($1::text[]);

-- lock(user_ids) -> Player
-- Accounts are locked in key order, as everywhere. A missing account is locked after it is opened.
SELECT
    u.user_id, u.deleted_at IS NOT NULL AS is_deleted,
    a.unit, a.balance, a.version, a.lifetime, a.updated_at, a.frozen_at
FROM (
    SELECT DISTINCT user_id COLLATE "C" AS user_id FROM unnest($1::text[]) AS given (user_id) ORDER BY user_id
) AS requested
CROSS JOIN LATERAL (
    SELECT * FROM tallystick.users AS held WHERE held.user_id = requested.user_id OFFSET 0
) AS u
LEFT JOIN LATERAL (
    SELECT *
    FROM tallystick.ledger_accounts AS held
    WHERE held.user_id = requested.user_id AND held.unit = 'points'
    FOR NO KEY UPDATE
) AS a ON TRUE;

-- referrals_credited(user_ids, day_beginnings) -> (user_id, begins_at, credited)
-- A partial index holds only entries of referrals, of which a player has at most the daily cap on one day.
SELECT requested.user_id, requested.begins_at, (
    SELECT count(*)
    FROM tallystick.ledger_entries AS e
    WHERE
        e.user_id = requested.user_id AND e.unit = 'points' AND e.event_type = 'referral_signup'
        AND e.created_at >= requested.begins_at AND e.created_at < requested.begins_at + interval '24 hours'
) AS credited
FROM unnest($1::text[], $2::timestamptz[]) AS requested (user_id, begins_at);
