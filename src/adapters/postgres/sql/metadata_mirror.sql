-- users(after, limit) -> UserId
SELECT page.user_id
FROM (
    (
        SELECT DISTINCT l.user_id
        FROM tallystick.legacy_users AS l
        INNER JOIN tallystick.backfill_runs AS r ON r.run = l.run
        WHERE l.user_id > $1::text AND r.state = 'applied'
        ORDER BY l.user_id
        LIMIT $2::bigint
    )
    UNION
    (
        SELECT m.user_id
        FROM tallystick.metadata_mirror AS m
        WHERE m.user_id > $1::text
        ORDER BY m.user_id
        LIMIT $2::bigint
    )
) AS page
ORDER BY page.user_id
LIMIT $2::bigint;

-- drift(user_ids) -> (user_id, kind)
-- A user without a canonical code has no drift: the mirror keeps the code that it has.
SELECT
    requested.user_id,
    CASE
        WHEN u.deleted_at IS NOT NULL THEN 'orphaned'
        WHEN m.code IS NULL THEN 'missing'
        ELSE 'stale'
    END AS kind
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT s.deleted_at FROM tallystick.users AS s WHERE s.user_id = requested.user_id OFFSET 0
) AS u
LEFT JOIN LATERAL (
    SELECT s.code FROM tallystick.metadata_mirror AS s WHERE s.user_id = requested.user_id OFFSET 0
) AS m ON true
LEFT JOIN LATERAL (
    SELECT s.code FROM tallystick.referral_codes AS s WHERE s.user_id = requested.user_id AND s.is_canonical OFFSET 0
) AS c ON true
WHERE
    CASE
        WHEN u.deleted_at IS NOT NULL THEN m.code IS NOT NULL
        WHEN m.code IS NOT NULL THEN m.code <> c.code
        ELSE c.code IS NOT NULL AND EXISTS (
            SELECT FROM (
                SELECT s.run, s.position FROM tallystick.legacy_users AS s WHERE s.user_id = requested.user_id OFFSET 0
            ) AS l
            INNER JOIN tallystick.backfill_runs AS r ON r.run = l.run
            CROSS JOIN LATERAL (
                SELECT FROM tallystick.legacy_codes AS k
                WHERE k.run = l.run AND k.position = l.position AND k.user_id = requested.user_id
                OFFSET 0
            ) AS c
            WHERE r.state = 'applied'
        )
    END;

-- write(user_ids, at) -> nothing
INSERT INTO tallystick.metadata_mirror AS m (user_id, code, mirrored_at)
SELECT c.user_id, c.code, $2::timestamptz
FROM tallystick.referral_codes AS c
WHERE
    c.user_id = ANY($1::text[]) AND c.is_canonical
    AND NOT EXISTS (
        SELECT FROM tallystick.users AS u WHERE u.user_id = c.user_id AND u.deleted_at IS NOT NULL OFFSET 0
    )
ORDER BY c.user_id
ON CONFLICT (user_id) DO UPDATE
    SET code = excluded.code, mirrored_at = excluded.mirrored_at
    WHERE m.code <> excluded.code;

-- erase(user_ids) -> nothing
DELETE FROM tallystick.metadata_mirror
WHERE user_id = ANY($1::text[]);
