-- add(topic_id, kind) -> nothing
INSERT INTO tallystick.topics (topic_id, kind)
VALUES ($1::text, $2::text)
ON CONFLICT (topic_id) DO NOTHING;

-- lock(topic_ids) -> Topic
-- In key order, so that two batches queue instead of deadlocking. The clock is read behind the lock of each row. In the
-- statement that locks, it would be read before the wait.
WITH locked AS MATERIALIZED (
    SELECT topic_id, head, last_at
    FROM tallystick.topics
    WHERE topic_id = ANY($1::text[])
    ORDER BY topic_id
    FOR NO KEY UPDATE
)

SELECT topic_id, head, greatest(clock_timestamp(), last_at) AS at
FROM locked;

-- append(topic_ids, seqs, event_ids, kinds, refs, actor_ids, payloads, created_ats) -> nothing
WITH new AS (
    SELECT *
    FROM unnest(
        $1::text[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::timestamptz[]
    ) AS event (topic_id, seq, event_id, kind, ref, actor_id, payload, created_at)
),

appended AS (
    INSERT INTO tallystick.topic_events (topic_id, seq, event_id, kind, ref, actor_id, payload, created_at)
    SELECT topic_id, seq, event_id, kind, ref, actor_id, payload, created_at
    FROM new
)

UPDATE tallystick.topics AS held
SET head = last.seq, last_at = last.at
FROM (SELECT topic_id, max(seq) AS seq, max(created_at) AS at FROM new GROUP BY topic_id) AS last
WHERE held.topic_id = last.topic_id AND held.topic_id = ANY($1::text[]);

-- heads(topic_ids) -> (topic_id, head)
SELECT topic_id, head
FROM tallystick.topics
WHERE topic_id = ANY($1::text[]);

-- events(topic_id, after, limit) -> TopicEvent
SELECT topic_id, seq, event_id, kind, ref, actor_id, payload, created_at
FROM tallystick.topic_events
WHERE topic_id = $1::text AND seq > $2::bigint
ORDER BY seq
LIMIT $3::bigint;

-- event_ids(topic_ids, seqs) -> (topic_id, seq, event_id)
-- OFFSET 0 makes it one look-up by key for each.
SELECT held.topic_id, held.seq, held.event_id
FROM unnest($1::text[], $2::bigint[]) AS requested (topic_id, seq)
CROSS JOIN LATERAL (
    SELECT *
    FROM tallystick.topic_events AS e
    WHERE e.topic_id = requested.topic_id AND e.seq = requested.seq
    OFFSET 0
) AS held;

-- find(topic_ids, event_ids) -> TopicEvent
-- Events of messages are not in the index, so that no message has to be added to it. OFFSET 0 makes it one look-up for
-- each.
SELECT held.topic_id, held.seq, held.event_id, held.kind, held.ref, held.actor_id, held.payload, held.created_at
FROM unnest($1::text[], $2::text[]) AS requested (topic_id, event_id)
CROSS JOIN LATERAL (
    SELECT *
    FROM tallystick.topic_events AS e
    WHERE e.topic_id = requested.topic_id AND e.event_id = requested.event_id AND e.kind <> 'message'
    OFFSET 0
) AS held;

-- extents(topic_ids) -> LogExtent
SELECT topic_id, head, trimmed, trimmed_tag
FROM tallystick.topics
WHERE topic_id = ANY($1::text[]);

-- page(after, limit) -> TopicId
SELECT topic_id
FROM tallystick.topics
WHERE topic_id > $1::text
ORDER BY topic_id
LIMIT $2::bigint;

-- with_old_events(topic_ids, before) -> TopicId
-- Numbers and times have one order: the first event that is kept is the oldest one.
SELECT held.topic_id
FROM tallystick.topics AS held
WHERE
    held.topic_id = ANY($1::text[])
    AND (
        SELECT oldest.created_at
        FROM tallystick.topic_events AS oldest
        WHERE oldest.topic_id = held.topic_id AND oldest.seq = held.trimmed + 1
    ) < $2::timestamptz
ORDER BY held.topic_id;

-- trim(topic_id, before, limit) -> int
-- The events are looked for behind the trimmed ones: the index entries of those stay there until they are vacuumed.
WITH oldest AS (
    SELECT held.seq, held.event_id, held.created_at
    FROM tallystick.topic_events AS held
    WHERE
        held.topic_id = $1::text
        AND held.seq > (SELECT log.trimmed FROM tallystick.topics AS log WHERE log.topic_id = $1::text)
    ORDER BY held.seq
    LIMIT $3::bigint
),

last_old AS (
    SELECT seq, event_id
    FROM oldest
    WHERE created_at < $2::timestamptz
    ORDER BY seq DESC
    LIMIT 1
),

gone AS (
    DELETE FROM tallystick.topic_events AS held
    WHERE
        held.topic_id = $1::text
        AND held.seq > (SELECT log.trimmed FROM tallystick.topics AS log WHERE log.topic_id = $1::text)
        AND held.seq <= (SELECT seq FROM last_old)
    RETURNING held.seq
),

moved AS (
    UPDATE tallystick.topics AS held
    SET trimmed = last_old.seq, trimmed_tag = right(last_old.event_id, 8)
    FROM last_old
    WHERE held.topic_id = $1::text
)

SELECT count(*) FROM gone;
