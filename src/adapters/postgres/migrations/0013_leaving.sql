-- Leaving: whoever is deleted takes their rewards along.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- kind: before
-- locks: rewards SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

CREATE INDEX CONCURRENTLY IF NOT EXISTS rewards_of_owner ON tallystick.rewards (owner_id, reward_id);

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.rewards_of_owner;
