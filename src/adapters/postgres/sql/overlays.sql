-- lock(session_ids) -> Overlay
-- In key order, so that two batches queue instead of deadlocking.
SELECT session_id, owner_id, version, payload, expires_at
FROM tallystick.session_overlays
WHERE session_id = ANY($1::text[])
ORDER BY session_id
FOR NO KEY UPDATE;

-- claim_ended(limit) -> Overlay
-- A subquery, which is evaluated once: the index cannot be searched for a value that changes from row to row.
SELECT session_id, owner_id, version, payload, expires_at
FROM tallystick.session_overlays
WHERE expires_at <= (SELECT clock_timestamp())
ORDER BY expires_at
LIMIT $1::bigint
FOR NO KEY UPDATE SKIP LOCKED;

-- add(session_ids, owner_ids, versions, payloads, ends) -> nothing
INSERT INTO tallystick.session_overlays (session_id, owner_id, version, payload, expires_at)
SELECT session_id, owner_id, version, payload, expires_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[]) AS new (
    session_id, owner_id, version, payload, expires_at
);

-- replace(session_ids, owner_ids, versions, payloads, ends) -> nothing
UPDATE tallystick.session_overlays AS held
SET
    owner_id = new.owner_id, version = new.version, payload = new.payload,
    expires_at = new.expires_at
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::timestamptz[]) AS new (
    session_id, owner_id, version, payload, expires_at
)
WHERE held.session_id = new.session_id;

-- shown(session_ids) -> ShownOverlay
-- The clock is read once, within the statement. The same reading decides and is returned.
-- `now()` would be the time at which the transaction began.
WITH clock AS MATERIALIZED (SELECT clock_timestamp() AS at)

SELECT held.session_id, held.version, held.expires_at, held.payload, clock.at AS server_time
FROM clock
INNER JOIN tallystick.session_overlays AS held ON held.expires_at > clock.at
WHERE held.session_id = ANY($1::text[]);

-- to_next_end() -> int
-- Rounded up: a sweep that begins after this time finds the end reached.
SELECT ceil(extract(EPOCH FROM min(expires_at) - clock_timestamp()) * 1000)::bigint AS milliseconds
FROM tallystick.session_overlays
WHERE expires_at IS NOT NULL;

-- of_owner(owner_id, after, limit) -> OverlaySessionId
SELECT session_id
FROM tallystick.session_overlays
WHERE owner_id = $1::text AND session_id > $2::text
ORDER BY session_id
LIMIT $3::bigint;
