-- add(channel_id, owner_id, name, created_at) -> nothing
INSERT INTO tallystick.channels (channel_id, owner_id, name, created_at)
VALUES ($1::text, $2::text, $3::text, $4::timestamptz)
ON CONFLICT (channel_id) DO NOTHING;

-- find(channel_ids) -> Channel
SELECT channel_id, owner_id, name, created_at
FROM tallystick.channels
WHERE channel_id = ANY($1::text[]);

-- members(channel_ids, user_ids) -> Member
-- OFFSET 0 makes it one look-up by key for each.
SELECT held.channel_id, held.user_id, held.role, held.joined_seq, held.left_seq, held.read_seq
FROM unnest($1::text[], $2::text[]) AS requested (channel_id, user_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM tallystick.channel_members AS m
    WHERE m.channel_id = requested.channel_id AND m.user_id = requested.user_id
    OFFSET 0
) AS held;

-- owners(channel_ids) -> (channel_id, user_id)
SELECT channel_id, user_id
FROM tallystick.channel_members
WHERE channel_id = ANY($1::text[]) AND role = 'owner' AND left_seq IS NULL;

-- member_counts(channel_ids, up_to) -> (channel_id, count)
-- For each channel, one range of the primary key is read up to the bound.
SELECT requested.channel_id, held.count
FROM unnest($1::text[]) AS requested (channel_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (
        SELECT FROM tallystick.channel_members AS m WHERE m.channel_id = requested.channel_id LIMIT $2::bigint
    ) AS bounded
) AS held;

-- store_members(channel_ids, user_ids, roles, joined_seqs, left_seqs, read_seqs) -> nothing
INSERT INTO tallystick.channel_members AS held (channel_id, user_id, role, joined_seq, left_seq, read_seq)
SELECT channel_id, user_id, role, joined_seq, left_seq, read_seq
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[]) AS new (
    channel_id, user_id, role, joined_seq, left_seq, read_seq
)
ON CONFLICT (channel_id, user_id) DO UPDATE
SET
    role = excluded.role, joined_seq = excluded.joined_seq, left_seq = excluded.left_seq,
    read_seq = greatest(held.read_seq, excluded.read_seq);

-- mark_read(channel_ids, user_ids, seqs) -> Member
-- In key order: two batches queue instead of deadlocking.
WITH wanted AS (
    SELECT channel_id, user_id, max(seq) AS seq
    FROM unnest($1::text[], $2::text[], $3::bigint[]) AS marker (channel_id, user_id, seq)
    GROUP BY channel_id, user_id
),

locked AS (
    SELECT held.channel_id, held.user_id
    FROM tallystick.channel_members AS held
    WHERE (held.channel_id, held.user_id) IN (SELECT channel_id, user_id FROM wanted) AND held.left_seq IS NULL
    ORDER BY held.channel_id, held.user_id
    FOR NO KEY UPDATE
)

UPDATE tallystick.channel_members AS held
SET read_seq = greatest(held.read_seq, least(wanted.seq, t.head))
FROM wanted
INNER JOIN locked ON locked.channel_id = wanted.channel_id AND locked.user_id = wanted.user_id
INNER JOIN tallystick.topics AS t ON t.topic_id = wanted.channel_id
WHERE held.channel_id = wanted.channel_id AND held.user_id = wanted.user_id AND held.left_seq IS NULL
RETURNING held.channel_id, held.user_id, held.role, held.joined_seq, held.left_seq, held.read_seq;

-- page(user_id, before, limit) -> ChannelState
-- Unread messages are counted up to 100, among the first 200 above the marker: the scan of the primary key ends at the
-- hundredth, and skips few deleted ones.
SELECT
    c.channel_id, c.name, c.owner_id, t.head, c.created_at, m.role, m.read_seq,
    (
        SELECT count(*)
        FROM (
            SELECT
            FROM (
                SELECT text.deleted_at
                FROM tallystick.messages AS text
                WHERE text.channel_id = m.channel_id AND text.seq > m.read_seq
                ORDER BY text.seq
                LIMIT 200
            ) AS above
            WHERE above.deleted_at IS NULL
            LIMIT 100
        ) AS kept
    ) AS unread
FROM (
    SELECT *
    FROM tallystick.channel_members AS own
    WHERE own.user_id = $1::text AND own.left_seq IS NULL AND ($2::text IS NULL OR own.channel_id < $2::text)
    ORDER BY own.channel_id DESC
    LIMIT $3::bigint
) AS m
INNER JOIN tallystick.channels AS c ON c.channel_id = m.channel_id
INNER JOIN tallystick.topics AS t ON t.topic_id = m.channel_id
ORDER BY c.channel_id DESC;

-- members_page(channel_id, after, limit) -> Member
SELECT channel_id, user_id, role, joined_seq, left_seq, read_seq
FROM tallystick.channel_members
WHERE channel_id = $1::text AND user_id > $2::text AND left_seq IS NULL
ORDER BY user_id
LIMIT $3::bigint;

-- channels_of(user_id, after, limit) -> ChannelId
SELECT channel_id
FROM tallystick.channel_members
WHERE user_id = $1::text AND channel_id > $2::text
ORDER BY channel_id
LIMIT $3::bigint;
