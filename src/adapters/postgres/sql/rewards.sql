-- add(reward_id, owner_id, name, description, cost, active, created_at) -> nothing
INSERT INTO tallystick.rewards (reward_id, owner_id, name, description, cost, active, created_at)
VALUES ($1::text, $2::text, $3::text, $4::text, $5::bigint, $6::boolean, $7::timestamptz)
ON CONFLICT (reward_id) DO NOTHING;

-- lock(reward_id) -> Reward
SELECT reward_id, owner_id, name, description, cost, active, created_at
FROM tallystick.rewards
WHERE reward_id = $1::text
FOR NO KEY UPDATE;

-- store(reward_id, name, description, cost, active) -> nothing
UPDATE tallystick.rewards
SET name = $2::text, description = $3::text, cost = $4::bigint, active = $5::boolean
WHERE reward_id = $1::text;

-- withdraw(owner_id, name, after, limit) -> (rows, last)
-- The page includes withdrawn rewards, so that no step reads a row that an earlier step read. In key order: two
-- transactions that lock rewards queue instead of deadlocking.
WITH page AS (
    SELECT reward_id, active, description, name
    FROM tallystick.rewards
    WHERE owner_id = $1::text AND reward_id > $3::text
    ORDER BY reward_id
    LIMIT $4::bigint
    FOR NO KEY UPDATE
), withdrawn AS (
    UPDATE tallystick.rewards AS held
    SET name = $2::text, description = NULL, active = false
    WHERE held.owner_id = $1::text AND held.reward_id = ANY(ARRAY(
        SELECT page.reward_id FROM page WHERE page.active OR page.description IS NOT NULL OR page.name <> $2::text
    ))
)
SELECT count(*) AS rows, max(reward_id) AS last
FROM page;

-- page(limit) -> Reward
-- Rewards of a deleted user are withdrawn in steps. Until then they are returned as if they were withdrawn.
SELECT
    r.reward_id, r.owner_id,
    CASE WHEN deleted_owner.user_id IS NULL THEN r.name ELSE 'withdrawn' END AS name,
    CASE WHEN deleted_owner.user_id IS NULL THEN r.description END AS description,
    r.cost, r.active AND deleted_owner.user_id IS NULL AS active, r.created_at
FROM (
    SELECT reward_id, owner_id, name, description, cost, active, created_at
    FROM tallystick.rewards
    WHERE active
    ORDER BY reward_id DESC
    LIMIT $1::bigint
) AS r
LEFT JOIN LATERAL (
    SELECT held.user_id
    FROM tallystick.users AS held
    WHERE held.user_id = r.owner_id AND held.deleted_at IS NOT NULL
    OFFSET 0
) AS deleted_owner ON true
ORDER BY r.reward_id DESC;

-- page_before(reward_id, limit) -> Reward
SELECT
    r.reward_id, r.owner_id,
    CASE WHEN deleted_owner.user_id IS NULL THEN r.name ELSE 'withdrawn' END AS name,
    CASE WHEN deleted_owner.user_id IS NULL THEN r.description END AS description,
    r.cost, r.active AND deleted_owner.user_id IS NULL AS active, r.created_at
FROM (
    SELECT reward_id, owner_id, name, description, cost, active, created_at
    FROM tallystick.rewards
    WHERE active AND reward_id < $1::text
    ORDER BY reward_id DESC
    LIMIT $2::bigint
) AS r
LEFT JOIN LATERAL (
    SELECT held.user_id
    FROM tallystick.users AS held
    WHERE held.user_id = r.owner_id AND held.deleted_at IS NOT NULL
    OFFSET 0
) AS deleted_owner ON true
ORDER BY r.reward_id DESC;

-- purchase_context(user_ids, reward_ids) -> (buyer_id, is_deleted, reward_id, owner_id, cost, active, paid, balance_before, balance_after, order_id, collected_at)
-- For each order, in one round trip: whether its buyer was deleted, the reward, and the purchase where the buyer
-- collected the reward already. Rewards of a deleted user are withdrawn in steps, and are inactive here from the first
-- moment. OFFSET 0 makes it one look-up by key for each: a plan made while a table was small would scan all of it
-- later.
SELECT
    requested.user_id AS buyer_id, deleted_buyer.user_id IS NOT NULL AS is_deleted,
    r.reward_id, r.owner_id, r.cost, r.active AND deleted_owner.user_id IS NULL AS active,
    c.cost AS paid, c.balance_before, c.balance_after, c.order_id, c.collected_at
FROM unnest($1::text[], $2::text[]) AS requested (user_id, reward_id)
LEFT JOIN LATERAL (
    SELECT * FROM tallystick.rewards AS held WHERE held.reward_id = requested.reward_id OFFSET 0
) AS r ON TRUE
LEFT JOIN LATERAL (
    SELECT held.user_id
    FROM tallystick.users AS held
    WHERE held.user_id = r.owner_id AND held.deleted_at IS NOT NULL
    OFFSET 0
) AS deleted_owner ON TRUE
LEFT JOIN LATERAL (
    SELECT held.user_id
    FROM tallystick.users AS held
    WHERE held.user_id = requested.user_id AND held.deleted_at IS NOT NULL
    OFFSET 0
) AS deleted_buyer ON TRUE
LEFT JOIN LATERAL (
    SELECT *
    FROM tallystick.collected_rewards AS held
    WHERE held.user_id = requested.user_id AND held.reward_id = requested.reward_id
    OFFSET 0
) AS c ON TRUE;

-- sell(user_ids, reward_ids, costs, befores, afters, order_ids, ats, seqs, correlation_ids) -> nothing
-- Collected rewards, the entries that pay for them and the accounts, in one round trip. The accounts are locked: no
-- other transaction changed them since they were read.
WITH sold AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::text[], $7::timestamptz[], $8::bigint[],
        $9::text[]
    ) AS new (
        user_id, reward_id, cost, balance_before, balance_after, order_id, at, seq, correlation_id
    )
),

collected AS (
    INSERT INTO tallystick.collected_rewards (
        user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at, owner_id
    )
    SELECT
        sold.user_id, sold.reward_id, sold.cost, sold.balance_before, sold.balance_after, sold.order_id, sold.at,
        (SELECT owner_id FROM tallystick.rewards AS r WHERE r.reward_id = sold.reward_id)
    FROM sold
),

entered AS (
    INSERT INTO tallystick.ledger_entries (
        user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id, created_at
    )
    SELECT user_id, 'credits', seq, -cost, balance_before, balance_after, 'purchase', reward_id, correlation_id, at
    FROM sold
)

UPDATE tallystick.ledger_accounts AS held
SET balance = last.balance_after, version = last.seq, updated_at = last.at
FROM (SELECT DISTINCT ON (user_id) user_id, seq, balance_after, at FROM sold ORDER BY user_id, seq DESC) AS last
WHERE held.user_id = last.user_id AND held.unit = 'credits' AND held.user_id = ANY($1::text[]);

-- collected_by(user_id, limit) -> Collected
SELECT user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
FROM tallystick.collected_rewards
WHERE user_id = $1::text
ORDER BY collected_at DESC, reward_id DESC
LIMIT $2::bigint;

-- collected_by_before(user_id, collected_at, reward_id, limit) -> Collected
SELECT user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
FROM tallystick.collected_rewards
WHERE user_id = $1::text AND (collected_at, reward_id) < ($2::timestamptz, $3::text)
ORDER BY collected_at DESC, reward_id DESC
LIMIT $4::bigint;
