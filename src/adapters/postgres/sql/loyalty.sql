-- find(user_ids)
SELECT
    u.user_id AS player_id, u.deleted_at IS NOT NULL AS is_deleted,
    a.user_id, a.unit, a.balance, a.version, a.lifetime, a.updated_at, a.frozen_at
FROM tallystick.users AS u
LEFT JOIN tallystick.ledger_accounts AS a ON a.user_id = u.user_id AND a.unit = 'points'
WHERE u.user_id = ANY($1::text[]);
