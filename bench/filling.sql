-- The setting bench.users is the number of users. Each user has credits and one purchase, so that the
-- tables have a realistic size and the invariants hold.
INSERT INTO tallystick.users (user_id, created_at)
SELECT 'user_' || number, now()
FROM generate_series(1000001, 1000000 + current_setting('bench.users')::bigint) AS number;

INSERT INTO tallystick.rewards (reward_id, owner_id, name, cost, active, created_at)
SELECT
    '01990000-0000-7000-8000-' || number, 'owner_' || number % 1000, 'Reward ' || number, 1 + number % 100, true, now()
FROM generate_series(100000000001, 100000010000) AS number;

INSERT INTO tallystick.ledger_accounts (user_id, unit, balance, version)
SELECT user_id, 'credits', 1000000000 - 10, 2
FROM tallystick.users;

INSERT INTO tallystick.collected_rewards (
    user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at
)
SELECT
    users.user_id, '01990000-0000-7000-8000-' || (100000000001 + random() * 9999)::bigint, 10, 1000000000,
    1000000000 - 10, gen_random_uuid(), now()
FROM tallystick.users AS users;

INSERT INTO tallystick.ledger_entries (
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id, created_at
)
SELECT user_id, 'credits', 1, 1000000000, 0, 1000000000, 'grant', 'welcome ' || user_id, gen_random_uuid()::text, now()
FROM tallystick.users
UNION ALL
SELECT
    user_id, 'credits', 2, -10, balance_before, balance_after, 'purchase', reward_id, order_id, collected_at
FROM tallystick.collected_rewards;

-- Each user has points, half of those that the second tier needs.
INSERT INTO tallystick.ledger_accounts (user_id, unit, balance, version, lifetime, updated_at)
SELECT user_id, 'points', 500, 1, 500, now()
FROM tallystick.users;

INSERT INTO tallystick.ledger_entries (
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id, created_at,
    tier_before, tier_after, lifetime_after, tier_progress
)
SELECT
    user_id, 'points', 1, 500, 0, 500, 'play', 'welcome ' || user_id, gen_random_uuid()::text, now(), 'bronze',
    'bronze', 500, 50
FROM tallystick.users;

-- PostgreSQL plans for an empty table if a table was analysed while it was empty.
INSERT INTO tallystick.invites (code, invite_id, owner_id, max_uses, current_uses, created_at)
SELECT 'OLD' || number, 'old invite ' || number, 'owner_' || number % 1000, 5, 5, now()
FROM generate_series(10001, 12000) AS number;

INSERT INTO tallystick.invite_uses (invite_id, user_id, attempt_id, used_at)
SELECT 'old invite ' || number / 5, 'user_' || 1000001 + number % 5, gen_random_uuid(), now()
FROM generate_series(10001 * 5, 12000 * 5 + 4) AS number;
