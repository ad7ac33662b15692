-- lock(lock_ids)
-- Held to the end of the transaction; false where another transaction is answering the same key.
SELECT asked.n, pg_try_advisory_xact_lock(asked.lock_id) AS locked
FROM unnest($1::bigint[]) WITH ORDINALITY AS asked (lock_id, n)
ORDER BY asked.n;

-- find(callers, keys)
-- After the locks, in a statement of its own: it sees what the previous holder of a lock committed.
SELECT held.caller, held.key, held.fingerprint, held.status, held.body
FROM tallystick.idempotency_keys AS held
INNER JOIN unnest($1::text[], $2::text[]) AS asked (caller, key)
ON held.caller = asked.caller AND held.key = asked.key;

-- record(callers, keys, fingerprints, statuses, bodies, created_ats)
INSERT INTO tallystick.idempotency_keys (caller, key, fingerprint, status, body, created_at)
SELECT new.caller, new.key, new.fingerprint, new.status, new.body, new.created_at
FROM unnest($1::text[], $2::text[], $3::bytea[], $4::bigint[], $5::bytea[], $6::timestamptz[])
AS new (caller, key, fingerprint, status, body, created_at)
ORDER BY new.caller, new.key;

-- forget(before, limit)
DELETE FROM tallystick.idempotency_keys
WHERE (caller, key) IN (
    SELECT caller, key
    FROM tallystick.idempotency_keys
    WHERE created_at < $1::timestamptz
    ORDER BY created_at
    LIMIT $2::bigint
);

-- drop_of(caller, after, limit)
-- A page by key: a step passes over none of the rows that earlier ones removed.
WITH page AS (
    SELECT key
    FROM tallystick.idempotency_keys
    WHERE caller = $1::text AND key > $2::text
    ORDER BY key
    LIMIT $3::bigint
), dropped AS (
    DELETE FROM tallystick.idempotency_keys AS held
    WHERE held.caller = $1::text AND held.key = ANY(ARRAY(SELECT page.key FROM page))
)
SELECT count(*) AS rows, max(key) AS last
FROM page;

-- fingerprint_key(purpose)
SELECT key
FROM tallystick.fingerprint_keys
WHERE purpose = $1::text;

-- keep_fingerprint_key(purpose, fresh, where_replies_are_stored)
-- Replies that an older version stored stay comparable; the first instance decides for all.
INSERT INTO tallystick.fingerprint_keys (purpose, key)
SELECT
    $1::text,
    CASE WHEN EXISTS (SELECT FROM tallystick.idempotency_keys) THEN $3::bytea ELSE $2::bytea END
ON CONFLICT (purpose) DO NOTHING;
