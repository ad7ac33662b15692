-- The constraint that keeps collector and owner apart holds for every row, so that readiness can ask for it.

-- kind: before
-- locks: collected_rewards SHARE UPDATE EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE tallystick.collected_rewards VALIDATE CONSTRAINT collected_rewards_not_own;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

SELECT 1;
