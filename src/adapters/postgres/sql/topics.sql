-- add(topic_id, kind) -> nothing
INSERT INTO tallystick.topics (topic_id, kind)
VALUES ($1::text, $2::text)
ON CONFLICT (topic_id) DO NOTHING;

-- lock(topic_ids) -> Topic
-- In key order, so that two batches queue instead of deadlocking. The clock is read for each row, and a row that had to
-- be waited for is read again: times never go back within a topic.
SELECT topic_id, head, greatest(clock_timestamp(), last_at) AS at
FROM tallystick.topics
WHERE topic_id = ANY($1::text[])
ORDER BY topic_id
FOR NO KEY UPDATE;

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
