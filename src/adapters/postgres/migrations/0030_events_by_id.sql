-- Events by their id: a command that is run again after a lost commit finds the event that it stored.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction

-- kind: before
-- locks: topic_events SHARE UPDATE EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

-- Without the events of messages: these are most events, and a message is found by the id that its client chose.
CREATE INDEX CONCURRENTLY IF NOT EXISTS topic_events_by_id ON tallystick.topic_events (topic_id, event_id)
WHERE kind <> 'message';

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP INDEX CONCURRENTLY IF EXISTS tallystick.topic_events_by_id;
