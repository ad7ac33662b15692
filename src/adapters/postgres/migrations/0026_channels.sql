-- Channels: topics with numbered events, members, and messages.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- One row a topic: its lock is held until the commit of the events that take their numbers from it.
-- Room on each page: a head that advances stays where it is, and no index has to know.
CREATE TABLE tallystick.topics (
    topic_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    head bigint NOT NULL DEFAULT 0,
    last_at timestamptz NOT NULL DEFAULT '-infinity',
    CONSTRAINT topics_pkey PRIMARY KEY (topic_id),
    CONSTRAINT topics_kind_known CHECK (kind IN ('channel')),
    CONSTRAINT topics_head_counts CHECK (head >= 0)
) WITH (fillfactor = 80);

ALTER TABLE tallystick.topics ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.topics FORCE ROW LEVEL SECURITY;
CREATE POLICY topics_service ON tallystick.topics
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.topics FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (head, last_at) ON tallystick.topics TO tallystick_app;

-- The payload never holds the text of a message: a text can be deleted, an event cannot.
CREATE TABLE tallystick.topic_events (
    topic_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    ref text COLLATE "C" NOT NULL,
    actor_id text COLLATE "C" NOT NULL,
    payload text,
    created_at timestamptz NOT NULL,
    CONSTRAINT topic_events_pkey PRIMARY KEY (topic_id, seq),
    CONSTRAINT topic_events_kind_known CHECK (
        kind IN ('message', 'message_deleted', 'member_added', 'member_removed')
    ),
    CONSTRAINT topic_events_seq_counts CHECK (seq >= 1)
);
CREATE UNIQUE INDEX topic_events_once ON tallystick.topic_events (topic_id, kind, ref)
WHERE kind IN ('message', 'message_deleted');

ALTER TABLE tallystick.topic_events ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.topic_events FORCE ROW LEVEL SECURITY;
CREATE POLICY topic_events_service ON tallystick.topic_events
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.topic_events FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.topic_events TO tallystick_app;

CREATE TABLE tallystick.channels (
    channel_id text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    name text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT channels_pkey PRIMARY KEY (channel_id),
    CONSTRAINT channels_topic_fkey FOREIGN KEY (channel_id) REFERENCES tallystick.topics (topic_id)
);
CREATE INDEX channels_by_owner ON tallystick.channels (owner_id);

ALTER TABLE tallystick.channels ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.channels FORCE ROW LEVEL SECURITY;
CREATE POLICY channels_service ON tallystick.channels
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.channels FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.channels TO tallystick_app;

-- A row stays when its member is removed: it says that the user may know of the channel.
CREATE TABLE tallystick.channel_members (
    channel_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    joined_seq bigint NOT NULL,
    left_seq bigint,
    read_seq bigint NOT NULL DEFAULT 0,
    CONSTRAINT channel_members_pkey PRIMARY KEY (channel_id, user_id),
    CONSTRAINT channel_members_channel_fkey FOREIGN KEY (channel_id) REFERENCES tallystick.channels (channel_id),
    CONSTRAINT channel_members_role_known CHECK (role IN ('owner', 'member')),
    CONSTRAINT channel_members_left_later CHECK (left_seq > joined_seq),
    CONSTRAINT channel_members_read_counts CHECK (read_seq >= 0)
) WITH (fillfactor = 80);
CREATE INDEX channel_members_by_user ON tallystick.channel_members (user_id, channel_id);
CREATE INDEX channel_members_owners ON tallystick.channel_members (channel_id)
WHERE role = 'owner' AND left_seq IS NULL;

ALTER TABLE tallystick.channel_members ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.channel_members FORCE ROW LEVEL SECURITY;
CREATE POLICY channel_members_service ON tallystick.channel_members
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.channel_members FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (role, joined_seq, left_seq, read_seq) ON tallystick.channel_members TO tallystick_app;

CREATE TABLE tallystick.messages (
    channel_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    sender_id text COLLATE "C" NOT NULL,
    client_message_id text COLLATE "C" NOT NULL,
    body text,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT messages_pkey PRIMARY KEY (channel_id, seq),
    CONSTRAINT messages_message_id_key UNIQUE (message_id),
    CONSTRAINT messages_sent_once UNIQUE (channel_id, sender_id, client_message_id),
    CONSTRAINT messages_body_bounded CHECK (length(body) BETWEEN 1 AND 4000),
    CONSTRAINT messages_deleted_are_empty CHECK ((body IS NULL) = (deleted_at IS NOT NULL))
);
CREATE INDEX messages_by_time ON tallystick.messages (channel_id, created_at, seq);

ALTER TABLE tallystick.messages ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.messages FORCE ROW LEVEL SECURITY;
CREATE POLICY messages_service ON tallystick.messages
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.messages FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (body, deleted_at) ON tallystick.messages TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.messages;
DROP TABLE tallystick.channel_members;
DROP TABLE tallystick.channels;
DROP TABLE tallystick.topic_events;
DROP TABLE tallystick.topics;
