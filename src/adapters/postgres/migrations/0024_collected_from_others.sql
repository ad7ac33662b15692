-- Nobody collects their own reward: its owner is copied beside the collector, and a constraint compares them.

-- kind: before
-- locks: collected_rewards ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- Empty in rows of earlier versions, which go on adding such rows until each of their servers is replaced.
ALTER TABLE tallystick.collected_rewards ADD COLUMN owner_id text COLLATE "C";
ALTER TABLE tallystick.collected_rewards
ADD CONSTRAINT collected_rewards_not_own CHECK (owner_id <> user_id) NOT VALID;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE tallystick.collected_rewards DROP CONSTRAINT collected_rewards_not_own;
ALTER TABLE tallystick.collected_rewards DROP COLUMN owner_id;
