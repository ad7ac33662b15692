-- find(user_ids)
SELECT
    u.user_id AS player_id, u.deleted_at IS NOT NULL AS is_deleted,
    a.user_id, a.unit, a.balance, a.version, a.lifetime, a.updated_at, a.frozen_at
FROM tallystick.users AS u
LEFT JOIN tallystick.ledger_accounts AS a ON a.user_id = u.user_id AND a.unit = 'points'
WHERE u.user_id = ANY($1::text[]);

-- lock(user_ids)
-- The accounts are locked in key order, as everywhere; whose account is missing is locked when it was opened.
SELECT
    u.user_id AS player_id, u.deleted_at IS NOT NULL AS is_deleted,
    a.user_id, a.unit, a.balance, a.version, a.lifetime, a.updated_at, a.frozen_at
FROM (
    SELECT DISTINCT user_id COLLATE "C" AS user_id FROM unnest($1::text[]) AS given (user_id) ORDER BY user_id
) AS asked
CROSS JOIN LATERAL (
    SELECT * FROM tallystick.users AS held WHERE held.user_id = asked.user_id OFFSET 0
) AS u
LEFT JOIN LATERAL (
    SELECT *
    FROM tallystick.ledger_accounts AS held
    WHERE held.user_id = asked.user_id AND held.unit = 'points'
    FOR NO KEY UPDATE
) AS a ON TRUE;
