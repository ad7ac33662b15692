-- The setting bench.channels is the number of channels with ten members and a hundred messages each; the hot channel
-- has 600 members. Each event has its number, so that the invariants hold.
CREATE TEMP TABLE rooms ON COMMIT PRESERVE ROWS AS
SELECT
    '01990000-0000-7000-8000-' || (200000000000 + number) AS room,
    CASE WHEN number = 0 THEN 600 ELSE 10 END AS members,
    number
FROM generate_series(0, current_setting('bench.channels')::bigint) AS number;

INSERT INTO tallystick.topics (topic_id, kind, head, last_at)
SELECT room, 'channel', members + 100, now()
FROM rooms;

INSERT INTO tallystick.channels (channel_id, owner_id, name, created_at)
SELECT room, 'member_' || number || '_0', 'Channel ' || number, now()
FROM rooms;

INSERT INTO tallystick.channel_members (channel_id, user_id, role, joined_seq)
SELECT room, 'member_' || number || '_' || place, CASE WHEN place = 0 THEN 'owner' ELSE 'member' END, place + 1
FROM rooms, generate_series(0, members - 1) AS place;

INSERT INTO tallystick.topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT channel_id, joined_seq, gen_random_uuid()::text, 'member_added', user_id, user_id, now()
FROM tallystick.channel_members;

INSERT INTO tallystick.messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
SELECT
    room, members + place, gen_random_uuid()::text, 'member_' || number || '_' || place % 10, 'old ' || place,
    'A message of some thirty letters', now()
FROM rooms, generate_series(1, 100) AS place;

INSERT INTO tallystick.topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT channel_id, seq, gen_random_uuid()::text, 'message', message_id, sender_id, created_at
FROM tallystick.messages;
