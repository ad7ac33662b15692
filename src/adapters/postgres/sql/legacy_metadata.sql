-- resolve(codes) -> Claim
-- The same look-ups for every code, whatever the answer is, so that response times do not tell which codes exist: one
-- in each table, with a key that no row has where the look-up before found nothing. Whether a look-up meets a row
-- still makes a difference of microseconds. Of several runs the first one counts.
SELECT DISTINCT ON (claim.code) claim.code, claim.user_id, claim.is_canonical, claim.created_at, claim.run
FROM (
    SELECT
        c.code, c.user_id, c.is_canonical, coalesce(c.created_at, r.planned_at) AS created_at, c.run,
        r.state, book.code AS booked, u.deleted_at
    FROM unnest($1::text[]) AS requested (code)
    LEFT JOIN LATERAL (
        SELECT k.code, k.user_id, k.is_canonical, k.created_at, k.run
        FROM tallystick.legacy_codes AS k
        WHERE k.code = requested.code AND k.kept_by IS NULL
        OFFSET 0
    ) AS c ON true
    LEFT JOIN LATERAL (
        SELECT s.state, s.planned_at FROM tallystick.backfill_runs AS s WHERE s.run = coalesce(c.run, 0) OFFSET 0
    ) AS r ON true
    LEFT JOIN LATERAL (
        SELECT s.code FROM tallystick.referral_codes AS s WHERE s.code = requested.code OFFSET 0
    ) AS book ON true
    LEFT JOIN LATERAL (
        SELECT s.deleted_at FROM tallystick.users AS s WHERE s.user_id = coalesce(c.user_id, '') OFFSET 0
    ) AS u ON true
    OFFSET 0
) AS claim
WHERE claim.state IN ('applying', 'applied') AND claim.booked IS NULL AND claim.deleted_at IS NULL
ORDER BY claim.code, claim.run;

-- codes_of(user_ids) -> (user_id, code)
-- OFFSET 0 makes each step one look-up: for a plain join, a plan made while the tables were empty could use the wrong
-- index.
SELECT requested.user_id, coalesce(m.code, imported.code) AS code
FROM unnest($1::text[]) AS requested (user_id)
LEFT JOIN LATERAL (
    SELECT s.code FROM tallystick.metadata_mirror AS s WHERE s.user_id = requested.user_id OFFSET 0
) AS m ON true
LEFT JOIN LATERAL (
    SELECT c.code
    FROM (
        SELECT s.run, s.position FROM tallystick.legacy_users AS s WHERE s.user_id = requested.user_id OFFSET 0
    ) AS l
    INNER JOIN tallystick.backfill_runs AS r ON r.run = l.run
    CROSS JOIN LATERAL (
        SELECT k.code, k.run, k.is_canonical, k.kept_by
        FROM tallystick.legacy_codes AS k
        WHERE k.run = l.run AND k.position = l.position AND k.user_id = requested.user_id
        OFFSET 0
    ) AS c
    WHERE r.state IN ('applying', 'applied') AND c.is_canonical AND c.kept_by IS NULL
    ORDER BY c.run, c.code
    LIMIT 1
) AS imported ON true
WHERE coalesce(m.code, imported.code) IS NOT NULL;

-- hold() -> int
-- A rollback begins with an update of its run, and waits for these locks.
SELECT run
FROM tallystick.backfill_runs
WHERE state IN ('applying', 'applied')
ORDER BY run
FOR SHARE;

-- claims_of(user_ids) -> Claim
-- Through `legacy_users`, which has the index by user.
SELECT claim.code, claim.user_id, claim.is_canonical, claim.created_at, claim.run
FROM (
    SELECT DISTINCT ON (c.user_id, c.code)
        c.code, c.user_id, c.is_canonical, coalesce(c.created_at, r.planned_at) AS created_at, c.run
    FROM unnest($1::text[]) AS requested (user_id)
    CROSS JOIN LATERAL (
        SELECT s.run, s.position FROM tallystick.legacy_users AS s WHERE s.user_id = requested.user_id OFFSET 0
    ) AS l
    INNER JOIN tallystick.backfill_runs AS r ON r.run = l.run
    CROSS JOIN LATERAL (
        SELECT k.code, k.user_id, k.is_canonical, k.created_at, k.run, k.kept_by
        FROM tallystick.legacy_codes AS k
        WHERE k.run = l.run AND k.position = l.position AND k.user_id = requested.user_id
        OFFSET 0
    ) AS c
    WHERE
        r.state IN ('applying', 'applied') AND c.kept_by IS NULL
        AND NOT EXISTS (SELECT FROM tallystick.referral_codes AS b WHERE b.code = c.code OFFSET 0)
        AND NOT EXISTS (
            SELECT FROM tallystick.users AS u WHERE u.user_id = c.user_id AND u.deleted_at IS NOT NULL OFFSET 0
        )
    ORDER BY c.user_id, c.code, c.run
) AS claim
ORDER BY claim.user_id, claim.is_canonical DESC, claim.code;

-- admit(user_ids, at) -> nothing
-- Creates the users as the run itself would. An address or username that another user has stays with that user.
INSERT INTO tallystick.users (
    user_id, created_at, email, email_key, username, username_key, display_name, phone, backfill_run
)
SELECT
    l.user_id, coalesce(l.created_at, $2::timestamptz),
    CASE WHEN by_email.user_id IS NULL THEN l.email END,
    CASE WHEN by_email.user_id IS NULL THEN l.email_key END,
    CASE WHEN by_username.user_id IS NULL THEN l.username END,
    CASE WHEN by_username.user_id IS NULL THEN l.username_key END,
    l.display_name, l.phone, l.run
FROM (
    SELECT DISTINCT ON (s.user_id) s.*
    FROM tallystick.legacy_users AS s
    INNER JOIN tallystick.backfill_runs AS r ON r.run = s.run
    WHERE s.user_id = ANY($1::text[]) AND r.state IN ('applying', 'applied')
    ORDER BY s.user_id, s.run
) AS l
LEFT JOIN tallystick.users AS by_email ON by_email.email_key = l.email_key
LEFT JOIN tallystick.users AS by_username ON by_username.username_key = l.username_key
ORDER BY l.user_id
ON CONFLICT (user_id) DO NOTHING;

-- adopt(codes, user_ids, are_canonical, created_ats, runs) -> Code
-- In code order, like every other insert. The time of an alias's demotion is the time when it was created.
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at, demoted_at, backfill_run)
SELECT
    new.code, new.user_id, new.is_canonical, new.created_at,
    CASE WHEN NOT new.is_canonical THEN new.created_at END,
    new.run
FROM unnest($1::text[], $2::text[], $3::boolean[], $4::timestamptz[], $5::bigint[])
AS new (code, user_id, is_canonical, created_at, run)
ORDER BY new.code
ON CONFLICT DO NOTHING
RETURNING code;

-- forget(user_ids) -> nothing
UPDATE tallystick.legacy_users
SET email = NULL, email_key = NULL, username = NULL, username_key = NULL, display_name = NULL, phone = NULL
WHERE
    user_id = ANY($1::text[])
    AND coalesce(email, email_key, username, username_key, display_name, phone) IS NOT NULL;
