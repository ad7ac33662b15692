-- Erasures: a user is deleted in one small transaction, and what they held is erased in steps behind it.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, constraint-missing-not-valid

-- kind: before
-- locks: users ACCESS EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Set by a deletion, and empty again when the last step is done.
ALTER TABLE tallystick.users ADD COLUMN IF NOT EXISTS erasing_since timestamptz;
GRANT UPDATE (erasing_since) ON tallystick.users TO tallystick_app;
ALTER TABLE tallystick.users DROP CONSTRAINT IF EXISTS users_erased_are_deleted;
ALTER TABLE tallystick.users ADD CONSTRAINT users_erased_are_deleted CHECK (
    erasing_since IS NULL OR deleted_at IS NOT NULL
) NOT VALID;
-- A statement of its own, outside a transaction: nobody waits while it reads the table.
ALTER TABLE tallystick.users VALIDATE CONSTRAINT users_erased_are_deleted;
-- Users who are not being erased are not in it, and cost nothing.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_being_erased ON tallystick.users
(erasing_since, user_id) WHERE erasing_since IS NOT NULL;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_being_erased;
ALTER TABLE tallystick.users DROP CONSTRAINT IF EXISTS users_erased_are_deleted;
ALTER TABLE tallystick.users DROP COLUMN IF EXISTS erasing_since;
