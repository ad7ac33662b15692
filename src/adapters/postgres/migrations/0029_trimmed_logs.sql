-- The log of a topic is trimmed from its start: a topic says up to which number, and how its last trimmed event ended.
-- squawk-ignore-file constraint-missing-not-valid

-- kind: before
-- locks: topics ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- There is one row a topic, so that the constraints are checked at once.
ALTER TABLE tallystick.topics
ADD COLUMN trimmed bigint NOT NULL DEFAULT 0,
ADD COLUMN trimmed_tag text COLLATE "C",
ADD CONSTRAINT topics_trimmed_within CHECK (trimmed BETWEEN 0 AND head),
ADD CONSTRAINT topics_trimmed_tagged CHECK ((trimmed > 0) = (trimmed_tag IS NOT NULL));

GRANT UPDATE (trimmed, trimmed_tag) ON tallystick.topics TO tallystick_app;
GRANT DELETE ON tallystick.topic_events, tallystick.messages TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

REVOKE DELETE ON tallystick.topic_events, tallystick.messages FROM tallystick_app;
ALTER TABLE tallystick.topics
DROP CONSTRAINT topics_trimmed_tagged,
DROP CONSTRAINT topics_trimmed_within,
DROP COLUMN trimmed_tag,
DROP COLUMN trimmed;
