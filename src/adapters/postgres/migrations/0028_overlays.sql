-- Overlays: one row a session, and events that end each version once.
-- squawk-ignore-file ban-concurrent-index-creation-in-transaction, constraint-missing-not-valid

-- kind: before
-- locks: topic_events ACCESS EXCLUSIVE, topics ACCESS EXCLUSIVE
-- migrate:up transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

ALTER TABLE tallystick.topics DROP CONSTRAINT IF EXISTS topics_kind_known;
ALTER TABLE tallystick.topics ADD CONSTRAINT topics_kind_known CHECK (kind IN ('channel', 'overlays')) NOT VALID;
ALTER TABLE tallystick.topics VALIDATE CONSTRAINT topics_kind_known;
ALTER TABLE tallystick.topic_events DROP CONSTRAINT IF EXISTS topic_events_kind_known;
ALTER TABLE tallystick.topic_events ADD CONSTRAINT topic_events_kind_known CHECK (
    kind IN (
        'message', 'message_deleted', 'member_added', 'member_removed',
        'overlay_shown', 'overlay_updated', 'overlay_expired', 'overlay_removed'
    )
) NOT VALID;
-- A statement of its own, outside a transaction: nobody waits while it reads the table.
ALTER TABLE tallystick.topic_events VALIDATE CONSTRAINT topic_events_kind_known;
-- One name for all ends of a version: whichever comes first is the only one.
CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS topic_events_end_once ON tallystick.topic_events (topic_id, ref)
WHERE kind IN ('overlay_updated', 'overlay_expired', 'overlay_removed');

-- A row stays when its overlay has ended, without the payload: versions of a session are never numbered twice.
CREATE TABLE IF NOT EXISTS tallystick.session_overlays (
    session_id text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C",
    version bigint NOT NULL,
    payload text,
    expires_at timestamptz,
    CONSTRAINT session_overlays_pkey PRIMARY KEY (session_id),
    CONSTRAINT session_overlays_version_counts CHECK (version >= 1),
    CONSTRAINT session_overlays_payload_bounded CHECK (octet_length(payload) <= 16384),
    CONSTRAINT session_overlays_ended_are_empty CHECK ((payload IS NULL) = (expires_at IS NULL)),
    CONSTRAINT session_overlays_shown_have_owners CHECK (owner_id IS NOT NULL OR expires_at IS NULL)
) WITH (fillfactor = 80);
CREATE INDEX IF NOT EXISTS session_overlays_by_end ON tallystick.session_overlays (expires_at)
WHERE expires_at IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_overlays_by_owner ON tallystick.session_overlays (owner_id, session_id);
CREATE INDEX IF NOT EXISTS session_overlays_shown_by_owner ON tallystick.session_overlays (owner_id)
WHERE expires_at IS NOT NULL;

ALTER TABLE tallystick.session_overlays ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.session_overlays FORCE ROW LEVEL SECURITY;
DROP POLICY IF EXISTS session_overlays_service ON tallystick.session_overlays;
CREATE POLICY session_overlays_service ON tallystick.session_overlays
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.session_overlays FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (owner_id, version, payload, expires_at)
ON tallystick.session_overlays TO tallystick_app;

-- migrate:down transaction:false
SET lock_timeout = '3s';
SET statement_timeout = '15min';

DROP TABLE IF EXISTS tallystick.session_overlays;
DROP INDEX CONCURRENTLY IF EXISTS tallystick.topic_events_end_once;
-- The version before knows neither the topic nor its events.
ALTER TABLE tallystick.topic_events NO FORCE ROW LEVEL SECURITY;
DELETE FROM tallystick.topic_events WHERE topic_id = 'overlays';
ALTER TABLE tallystick.topic_events FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.topics NO FORCE ROW LEVEL SECURITY;
DELETE FROM tallystick.topics WHERE topic_id = 'overlays';
ALTER TABLE tallystick.topics FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.topic_events DROP CONSTRAINT IF EXISTS topic_events_kind_known;
ALTER TABLE tallystick.topic_events ADD CONSTRAINT topic_events_kind_known CHECK (
    kind IN ('message', 'message_deleted', 'member_added', 'member_removed')
) NOT VALID;
ALTER TABLE tallystick.topic_events VALIDATE CONSTRAINT topic_events_kind_known;
ALTER TABLE tallystick.topics DROP CONSTRAINT IF EXISTS topics_kind_known;
ALTER TABLE tallystick.topics ADD CONSTRAINT topics_kind_known CHECK (kind IN ('channel')) NOT VALID;
ALTER TABLE tallystick.topics VALIDATE CONSTRAINT topics_kind_known;
