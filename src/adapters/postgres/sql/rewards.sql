-- add(reward_id, owner_id, name, description, cost, active, created_at)
INSERT INTO tallystick.rewards (reward_id, owner_id, name, description, cost, active, created_at)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::bigint, $6::boolean, $7::timestamptz)
ON CONFLICT (reward_id) DO NOTHING;

-- lock(reward_id)
SELECT reward_id, owner_id, name, description, cost, active, created_at
FROM tallystick.rewards
WHERE reward_id = $1::text
FOR NO KEY UPDATE;

-- store(reward_id, name, description, cost, active)
UPDATE tallystick.rewards
SET name = $2::text, description = $3::text, cost = $4::bigint, active = $5::boolean
WHERE reward_id = $1::text;

-- page(limit)
SELECT reward_id, owner_id, name, description, cost, active, created_at
FROM tallystick.rewards
WHERE active
ORDER BY reward_id DESC
LIMIT $1::bigint;

-- page_before(reward_id, limit)
SELECT reward_id, owner_id, name, description, cost, active, created_at
FROM tallystick.rewards
WHERE active AND reward_id < $1::text
ORDER BY reward_id DESC
LIMIT $2::bigint;

-- on_the_desk(user_ids, reward_ids)
-- The reward of each order, and what its buyer collected of it already, in one trip.
SELECT
    r.reward_id, r.owner_id, r.name, r.description, r.cost, r.active, r.created_at,
    c.user_id, c.reward_id, c.cost, c.balance_before, c.balance_after, c.order_id, c.collected_at
FROM unnest($1::text[], $2::text[]) AS asked (user_id, reward_id)
INNER JOIN tallystick.rewards AS r ON r.reward_id = asked.reward_id
LEFT JOIN tallystick.collected_rewards AS c ON c.user_id = asked.user_id AND c.reward_id = asked.reward_id;

-- collect(user_ids, reward_ids, costs, befores, afters, order_ids, collected_ats)
INSERT INTO tallystick.collected_rewards (
    user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
)
SELECT new.user_id, new.reward_id, new.cost, new.balance_before, new.balance_after, new.order_id, new.collected_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::timestamptz[])
AS new (user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at);

-- collected_by(user_id, limit)
SELECT user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
FROM tallystick.collected_rewards
WHERE user_id = $1::text
ORDER BY collected_at DESC, reward_id DESC
LIMIT $2::bigint;

-- collected_by_before(user_id, collected_at, reward_id, limit)
SELECT user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
FROM tallystick.collected_rewards
WHERE user_id = $1::text AND (collected_at, reward_id) < ($2::timestamptz, $3::text)
ORDER BY collected_at DESC, reward_id DESC
LIMIT $4::bigint;
