-- Deletions: what a request stored behind its caller's deletion is looked for by who was deleted a moment ago.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- kind: before
-- locks: users SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Who lives is not in it, and pays nothing for it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS users_by_deletion ON tallystick.users
(deleted_at, user_id) WHERE deleted_at IS NOT NULL;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.users_by_deletion;
