-- The channels of a user are listed from an index that leaves out the channels that the user has left.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- kind: before
-- locks: channel_members SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Read markers move without it: it holds no marker.
CREATE INDEX CONCURRENTLY IF NOT EXISTS channel_members_present_by_user ON tallystick.channel_members
(user_id, channel_id) WHERE left_seq IS NULL;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.channel_members_present_by_user;
