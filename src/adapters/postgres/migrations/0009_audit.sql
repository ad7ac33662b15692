-- Audit of points: whoever asks by player, staff, request or kind of event reads a range of one index.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- kind: before
-- locks: ledger_accounts SHARE UPDATE EXCLUSIVE, ledger_entries SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

ALTER TABLE tallystick.ledger_accounts VALIDATE CONSTRAINT ledger_accounts_lifetime_of_points;
ALTER TABLE tallystick.ledger_entries VALIDATE CONSTRAINT ledger_entries_points_have_tiers;
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_of_request ON tallystick.ledger_entries
(correlation_id, created_at, user_id, seq) WHERE unit = 'points';
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_of_kind ON tallystick.ledger_entries
(event_type, created_at, user_id, seq) WHERE unit = 'points';
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_of_players_kind ON tallystick.ledger_entries
(user_id, event_type, seq) WHERE unit = 'points';
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_of_staff ON tallystick.ledger_entries
(staff_id, created_at, user_id, seq) WHERE unit = 'points' AND staff_id IS NOT NULL;
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_of_players_staff ON tallystick.ledger_entries
(user_id, staff_id, seq) WHERE unit = 'points' AND staff_id IS NOT NULL;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.ledger_entries_of_players_staff;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.ledger_entries_of_staff;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.ledger_entries_of_players_kind;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.ledger_entries_of_kind;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.ledger_entries_of_request;
