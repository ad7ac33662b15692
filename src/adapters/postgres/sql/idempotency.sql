-- lock(lock_ids) -> (n, locked)
-- The locks last to the end of the transaction. `locked` is false where another transaction answers the same key.
SELECT requested.n, pg_try_advisory_xact_lock(requested.lock_id) AS locked
FROM unnest($1::bigint[]) WITH ORDINALITY AS requested (lock_id, n)
ORDER BY requested.n;

-- find(callers, keys) -> (caller, key, fingerprint, status, body, replies, bytes)
-- A separate statement after the locks, so that it sees what the previous holder of a lock committed. It returns a row
-- for each key that is stored, and for each key of a caller who has stored replies.
SELECT requested.caller, held.key, held.fingerprint, held.status, held.body, total.replies, total.bytes
FROM unnest($1::text[], $2::text[]) AS requested (caller, key)
LEFT JOIN LATERAL (
    SELECT k.key, k.fingerprint, k.status, k.body
    FROM tallystick.idempotency_keys AS k
    WHERE k.caller = requested.caller AND k.key = requested.key
    OFFSET 0
) AS held ON true
LEFT JOIN LATERAL (
    SELECT t.replies, t.bytes FROM tallystick.reply_totals AS t WHERE t.caller = requested.caller OFFSET 0
) AS total ON true
WHERE held.key IS NOT NULL OR total.replies IS NOT NULL;

-- record(callers, keys, fingerprints, statuses, bodies, created_ats, most_replies, most_bytes) -> int
-- The counter of a caller is the last row that a request locks. The counter of a caller who has reached a bound does
-- not change. The result is the number of callers whose counters changed.
WITH new AS (
    SELECT *
    FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::timestamptz[])
    AS given (caller, key, fingerprint, status, body, created_at)
),

stored AS (
    INSERT INTO tallystick.idempotency_keys (caller, key, fingerprint, status, body, created_at, is_counted)
    SELECT caller, key, fingerprint, status, body, created_at, true
    FROM new
    ORDER BY caller, key
),

counted AS (
    INSERT INTO tallystick.reply_totals AS held (caller, replies, bytes)
    SELECT caller, count(*), sum(octet_length(body))
    FROM new
    GROUP BY caller
    ORDER BY caller
    ON CONFLICT (caller) DO UPDATE
    SET replies = held.replies + excluded.replies, bytes = held.bytes + excluded.bytes
    WHERE held.replies + excluded.replies <= $7::bigint AND held.bytes < $8::bigint
    RETURNING caller
)

SELECT count(*) FROM counted;

-- forget(before, limit) -> int
-- Counters are locked in the order of callers, as `record` locks them.
WITH forgotten AS (
    DELETE FROM tallystick.idempotency_keys
    WHERE (caller, key) IN (
        SELECT caller, key
        FROM tallystick.idempotency_keys
        WHERE created_at < $1::timestamptz
        ORDER BY created_at
        LIMIT $2::bigint
    )
    RETURNING caller, octet_length(body) AS bytes, is_counted
),

fewer AS (
    SELECT caller, count(*) AS replies, sum(bytes) AS bytes FROM forgotten WHERE is_counted GROUP BY caller
),

locked AS (
    SELECT caller
    FROM tallystick.reply_totals
    WHERE caller = ANY(ARRAY(SELECT fewer.caller FROM fewer))
    ORDER BY caller
    FOR NO KEY UPDATE
),

uncounted AS (
    UPDATE tallystick.reply_totals AS held
    SET replies = held.replies - fewer.replies, bytes = held.bytes - fewer.bytes
    FROM locked
    INNER JOIN fewer ON fewer.caller = locked.caller
    WHERE held.caller = locked.caller
)

SELECT count(*) FROM forgotten;

-- drop_of(caller, after, limit) -> (rows, last)
-- The page begins behind `after`, so that the index scan does not step over dead rows of earlier pages.
WITH page AS (
    SELECT key
    FROM tallystick.idempotency_keys
    WHERE caller = $1::text AND key > $2::text
    ORDER BY key
    LIMIT $3::bigint
), dropped AS (
    DELETE FROM tallystick.idempotency_keys AS held
    WHERE held.caller = $1::text AND held.key = ANY(ARRAY(SELECT page.key FROM page))
), uncounted AS (
    DELETE FROM tallystick.reply_totals
    WHERE caller = $1::text AND (SELECT count(*) FROM page) < $3::bigint
)
SELECT count(*) AS rows, max(key) AS last
FROM page;

-- fingerprint_key(purpose) -> bytes
SELECT key
FROM tallystick.fingerprint_keys
WHERE purpose = $1::text;

-- keep_fingerprint_key(purpose, fresh, where_replies_are_stored) -> nothing
-- Where replies are stored already, their key is stored, so that repeated requests still match them. The first instance
-- decides for all.
INSERT INTO tallystick.fingerprint_keys (purpose, key)
SELECT
    $1::text,
    CASE WHEN EXISTS (SELECT FROM tallystick.idempotency_keys) THEN $3::bytea ELSE $2::bytea END
ON CONFLICT (purpose) DO NOTHING;
