-- The daily cap of referral points: how many referrals an inviter was credited on a day is read by an index of its own.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- kind: before
-- locks: ledger_entries SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Entries of other kinds are not in it, and pay nothing for it.
CREATE INDEX CONCURRENTLY IF NOT EXISTS ledger_entries_referrals ON tallystick.ledger_entries
(user_id, created_at) WHERE unit = 'points' AND event_type = 'referral_signup';

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.ledger_entries_referrals;
