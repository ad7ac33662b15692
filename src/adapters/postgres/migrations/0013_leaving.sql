-- Leaving: whoever is deleted takes their rewards along, and exports read aliases by their key alone.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

CREATE INDEX CONCURRENTLY IF NOT EXISTS rewards_of_owner ON tallystick.rewards (owner_id, reward_id);
CREATE INDEX CONCURRENTLY IF NOT EXISTS referral_codes_exported_aliases ON tallystick.referral_codes (code)
WHERE NOT is_canonical;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.referral_codes_exported_aliases;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.rewards_of_owner;
