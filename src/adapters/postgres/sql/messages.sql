-- sending_context(channel_ids, sender_ids, client_message_ids) -> (user_id, is_deleted, channel_id, role, joined_seq, left_seq, read_seq, message_id, seq, client_message_id, body, created_at, deleted_at)
-- For each send, in one round trip: whether its sender was deleted, the membership, and the message that was stored
-- under the same key. OFFSET 0 makes it one look-up by key for each.
SELECT
    requested.sender_id AS user_id, deleted_sender.user_id IS NOT NULL AS is_deleted,
    member.channel_id, member.role, member.joined_seq, member.left_seq, member.read_seq,
    sent.message_id, sent.seq, sent.client_message_id, sent.body, sent.created_at, sent.deleted_at
FROM unnest($1::text[], $2::text[], $3::text[]) AS requested (channel_id, sender_id, client_message_id)
LEFT JOIN LATERAL (
    SELECT held.user_id
    FROM tallystick.users AS held
    WHERE held.user_id = requested.sender_id AND held.deleted_at IS NOT NULL
    OFFSET 0
) AS deleted_sender ON TRUE
LEFT JOIN LATERAL (
    SELECT *
    FROM tallystick.channel_members AS held
    WHERE held.channel_id = requested.channel_id AND held.user_id = requested.sender_id
    OFFSET 0
) AS member ON TRUE
LEFT JOIN LATERAL (
    SELECT *
    FROM tallystick.messages AS held
    WHERE
        held.channel_id = requested.channel_id AND held.sender_id = requested.sender_id
        AND held.client_message_id = requested.client_message_id
    OFFSET 0
) AS sent ON TRUE;

-- send(message_ids, channel_ids, seqs, sender_ids, client_message_ids, bodies, created_ats, event_ids) -> nothing
-- Messages, their events, the heads and the senders' read markers, in one round trip: topics are locked for no longer
-- than needed. Members are locked in key order, as by everything that moves markers.
WITH new AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[], $8::text[]
    ) AS message (message_id, channel_id, seq, sender_id, client_message_id, body, created_at, event_id)
),

sent AS (
    INSERT INTO tallystick.messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
    SELECT channel_id, seq, message_id, sender_id, client_message_id, body, created_at
    FROM new
),

appended AS (
    INSERT INTO tallystick.topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
    SELECT channel_id, seq, event_id, 'message', message_id, sender_id, created_at
    FROM new
),

senders AS (
    SELECT channel_id, sender_id, max(seq) AS seq
    FROM new
    GROUP BY channel_id, sender_id
),

locked AS (
    SELECT held.channel_id, held.user_id
    FROM tallystick.channel_members AS held
    WHERE (held.channel_id, held.user_id) IN (SELECT channel_id, sender_id FROM senders)
    ORDER BY held.channel_id, held.user_id
    FOR NO KEY UPDATE
),

marked AS (
    UPDATE tallystick.channel_members AS held
    SET read_seq = own.seq
    FROM senders AS own
    INNER JOIN locked ON locked.channel_id = own.channel_id AND locked.user_id = own.sender_id
    WHERE held.channel_id = own.channel_id AND held.user_id = own.sender_id
)

UPDATE tallystick.topics AS held
SET head = last.seq, last_at = last.at
FROM (SELECT channel_id, max(seq) AS seq, max(created_at) AS at FROM new GROUP BY channel_id) AS last
WHERE held.topic_id = last.channel_id AND held.topic_id = ANY($2::text[]);

-- find(message_ids) -> Message
SELECT message_id, channel_id, seq, sender_id, client_message_id, body, created_at, deleted_at
FROM tallystick.messages
WHERE message_id = ANY($1::text[]);

-- delete(channel_ids, seqs, deleted_ats) -> nothing
UPDATE tallystick.messages AS held
SET body = NULL, deleted_at = gone.at
FROM unnest($1::text[], $2::bigint[], $3::timestamptz[]) AS gone (channel_id, seq, at)
WHERE held.channel_id = gone.channel_id AND held.seq = gone.seq;

-- page(channel_id, before, since, limit) -> Message
-- Within a channel, numbers and times have one order: a time is turned into a number by one look-up.
SELECT message_id, channel_id, seq, sender_id, client_message_id, body, created_at, deleted_at
FROM tallystick.messages
WHERE
    channel_id = $1::text
    AND seq < coalesce($2::bigint, 9223372036854775807)
    AND seq > coalesce((
        SELECT earlier.seq
        FROM tallystick.messages AS earlier
        WHERE earlier.channel_id = $1::text AND earlier.created_at <= $3::timestamptz
        ORDER BY earlier.created_at DESC, earlier.seq DESC
        LIMIT 1
    ), 0)
ORDER BY seq DESC
LIMIT $4::bigint;

-- page_after(channel_id, after, since, limit) -> Message
SELECT message_id, channel_id, seq, sender_id, client_message_id, body, created_at, deleted_at
FROM tallystick.messages
WHERE
    channel_id = $1::text
    AND seq > greatest($2::bigint, (
        SELECT earlier.seq
        FROM tallystick.messages AS earlier
        WHERE earlier.channel_id = $1::text AND earlier.created_at <= $3::timestamptz
        ORDER BY earlier.created_at DESC, earlier.seq DESC
        LIMIT 1
    ))
ORDER BY seq
LIMIT $4::bigint;

-- of_sender(channel_id, sender_id, after, limit) -> Message
SELECT message_id, channel_id, seq, sender_id, client_message_id, body, created_at, deleted_at
FROM tallystick.messages
WHERE channel_id = $1::text AND sender_id = $2::text AND client_message_id > $3::text
ORDER BY client_message_id
LIMIT $4::bigint;

-- with_old_messages(channel_ids, before) -> ChannelId
SELECT requested.channel_id
FROM unnest($1::text[]) AS requested (channel_id)
WHERE (
    SELECT oldest.created_at
    FROM tallystick.messages AS oldest
    WHERE oldest.channel_id = requested.channel_id
    ORDER BY oldest.seq
    LIMIT 1
) < $2::timestamptz
ORDER BY requested.channel_id;

-- forget(channel_id, before, limit) -> int
WITH oldest AS (
    SELECT held.seq, held.created_at
    FROM tallystick.messages AS held
    WHERE held.channel_id = $1::text
    ORDER BY held.seq
    LIMIT $3::bigint
),

gone AS (
    DELETE FROM tallystick.messages AS held
    WHERE
        held.channel_id = $1::text
        AND held.seq <= (SELECT max(seq) FROM oldest WHERE created_at < $2::timestamptz)
        AND held.seq <= (SELECT log.trimmed FROM tallystick.topics AS log WHERE log.topic_id = $1::text)
    RETURNING held.seq
)

SELECT count(*) FROM gone;
