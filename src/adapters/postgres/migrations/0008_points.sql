-- Points: what was ever earned, the tiers that it led through, and accounts that staff can stop.

-- kind: before
-- locks: ledger_accounts ACCESS EXCLUSIVE, ledger_entries ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- Nobody has points yet, so that those who get some begin with all that they were ever given.
ALTER TABLE tallystick.ledger_accounts
ADD COLUMN lifetime bigint NOT NULL DEFAULT 0,
ADD COLUMN updated_at timestamptz,
ADD COLUMN frozen_at timestamptz,
ADD CONSTRAINT ledger_accounts_lifetime_of_points CHECK (
    lifetime BETWEEN 0 AND 9007199254740991 AND (unit = 'points' OR lifetime = 0)
) NOT VALID;
-- Freezing is for the owner of the schema alone.
GRANT UPDATE (lifetime, updated_at) ON tallystick.ledger_accounts TO tallystick_app;

ALTER TABLE tallystick.ledger_entries
ADD COLUMN lifetime_after bigint,
ADD COLUMN tier_progress bigint,
ADD CONSTRAINT ledger_entries_points_have_tiers CHECK (
    (
        unit = 'points' AND num_nulls(lifetime_after, tier_before, tier_after, tier_progress) = 0
        AND lifetime_after >= 0 AND tier_progress BETWEEN 0 AND 100
    )
    OR (unit <> 'points' AND num_nonnulls(lifetime_after, tier_before, tier_after, tier_progress) = 0)
) NOT VALID;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE tallystick.ledger_entries
DROP CONSTRAINT ledger_entries_points_have_tiers,
DROP COLUMN tier_progress,
DROP COLUMN lifetime_after;
ALTER TABLE tallystick.ledger_accounts
DROP CONSTRAINT ledger_accounts_lifetime_of_points,
DROP COLUMN frozen_at,
DROP COLUMN updated_at,
DROP COLUMN lifetime;
