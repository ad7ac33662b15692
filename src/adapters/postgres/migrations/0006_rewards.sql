-- Rewards, and who collected them: each once for each collector, at the price of that moment.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.rewards (
    reward_id text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    description text,
    cost bigint NOT NULL,
    active boolean NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT rewards_pkey PRIMARY KEY (reward_id),
    CONSTRAINT rewards_cost_positive CHECK (cost BETWEEN 1 AND 1000000000)
);
CREATE INDEX rewards_on_offer ON tallystick.rewards (reward_id DESC) WHERE active;

ALTER TABLE tallystick.rewards ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.rewards FORCE ROW LEVEL SECURITY;
CREATE POLICY rewards_service ON tallystick.rewards FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.rewards FROM public, anon, authenticated;
-- Neither the id nor the owner can ever be changed: the grant names the columns that can.
GRANT SELECT, INSERT, UPDATE (name, description, cost, active) ON tallystick.rewards TO tallystick_app;

CREATE TABLE tallystick.collected_rewards (
    user_id text COLLATE "C" NOT NULL,
    reward_id text COLLATE "C" NOT NULL,
    cost bigint NOT NULL,
    balance_before bigint NOT NULL,
    balance_after bigint NOT NULL,
    order_id text COLLATE "C" NOT NULL,
    collected_at timestamptz NOT NULL,
    CONSTRAINT collected_rewards_pkey PRIMARY KEY (user_id, reward_id),
    CONSTRAINT collected_rewards_reward_fkey FOREIGN KEY (reward_id) REFERENCES tallystick.rewards (reward_id),
    CONSTRAINT collected_rewards_add_up CHECK (cost >= 1 AND balance_after = balance_before - cost)
);

ALTER TABLE tallystick.collected_rewards ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.collected_rewards FORCE ROW LEVEL SECURITY;
CREATE POLICY collected_rewards_service ON tallystick.collected_rewards
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.collected_rewards FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.collected_rewards TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.collected_rewards;
DROP TABLE tallystick.rewards;
