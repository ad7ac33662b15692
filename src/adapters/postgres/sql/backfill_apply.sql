-- admit_new(run, first, last, at) -> nothing
-- For chunks in which all users are new, which nearly all chunks are: ON CONFLICT would double the cost.
INSERT INTO tallystick.users (
    user_id, created_at, email, email_key, username, username_key, display_name, phone, backfill_run
)
SELECT
    l.user_id, coalesce(l.created_at, $4::timestamptz),
    l.email, l.email_key, l.username, l.username_key, l.display_name, l.phone, l.run
FROM tallystick.legacy_users AS l
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
ORDER BY l.position;

-- keep_new(run, first, last, at) -> nothing
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at, backfill_run)
SELECT c.code, c.user_id, true, coalesce(c.created_at, $4::timestamptz), c.run
FROM tallystick.legacy_codes AS c
WHERE
    c.run = $1::bigint AND c.position BETWEEN $2::bigint AND $3::bigint
    AND c.is_canonical AND c.kept_by IS NULL
ORDER BY c.position;

-- admit(run, first, last, at) -> nothing
-- In the order of ids, as everywhere. An address or username that another user has stays with that user. OFFSET 0, here
-- and below, makes each look-up one by key: the tables grow by a chunk within a transaction, and the statistics of the
-- planner do not know it.
INSERT INTO tallystick.users (
    user_id, created_at, email, email_key, username, username_key, display_name, phone, backfill_run
)
SELECT
    l.user_id, coalesce(l.created_at, $4::timestamptz),
    CASE WHEN by_email.user_id IS NULL THEN l.email END,
    CASE WHEN by_email.user_id IS NULL THEN l.email_key END,
    CASE WHEN by_username.user_id IS NULL THEN l.username END,
    CASE WHEN by_username.user_id IS NULL THEN l.username_key END,
    l.display_name, l.phone, l.run
FROM tallystick.legacy_users AS l
LEFT JOIN LATERAL (
    SELECT held.user_id FROM tallystick.users AS held WHERE held.email_key = l.email_key OFFSET 0
) AS by_email ON true
LEFT JOIN LATERAL (
    SELECT held.user_id FROM tallystick.users AS held WHERE held.username_key = l.username_key OFFSET 0
) AS by_username ON true
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
ORDER BY l.position
ON CONFLICT (user_id) DO NOTHING;

-- lock(run, first, last) -> UserId
-- Without the lock, another transaction could delete these users or give them a code meanwhile.
SELECT u.user_id
FROM (
    SELECT l.user_id
    FROM tallystick.legacy_users AS l
    WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
    ORDER BY l.position
) AS asked
CROSS JOIN LATERAL (
    SELECT held.user_id FROM tallystick.users AS held WHERE held.user_id = asked.user_id FOR NO KEY UPDATE
) AS u;

-- verify_phones(run, first, last, at) -> nothing
INSERT INTO tallystick.phone_verifications (user_id, source, verified_at)
SELECT l.user_id, 'backfill', $4::timestamptz
FROM tallystick.legacy_users AS l
CROSS JOIN LATERAL (
    SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = l.user_id OFFSET 0
) AS u
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.phone_verified AND u.deleted_at IS NULL
ORDER BY l.position
ON CONFLICT (user_id) DO NOTHING;

-- keep(run, first, last, at) -> nothing
-- Canonical codes of the legacy users become canonical here, unless the user has a canonical code already.
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at, backfill_run)
SELECT c.code, c.user_id, true, coalesce(c.created_at, $4::timestamptz), c.run
FROM tallystick.legacy_codes AS c
CROSS JOIN LATERAL (
    SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = c.user_id OFFSET 0
) AS u
WHERE
    c.run = $1::bigint AND c.position BETWEEN $2::bigint AND $3::bigint
    AND c.is_canonical AND c.kept_by IS NULL AND u.deleted_at IS NULL
ORDER BY c.code
ON CONFLICT DO NOTHING;

-- claims(run, first, last) -> int
SELECT count(*)
FROM tallystick.legacy_codes AS c
WHERE c.run = $1::bigint AND c.position BETWEEN $2::bigint AND $3::bigint;

-- without_code(run, first, last) -> (user_id, has_lost_one)
-- Users who need a new code, and whether another user keeps the code that they had.
SELECT
    l.user_id,
    EXISTS (
        SELECT FROM tallystick.legacy_codes AS lost
        WHERE lost.run = l.run AND lost.position = l.position AND lost.is_canonical
        OFFSET 0
    ) AS has_lost_one
FROM tallystick.legacy_users AS l
CROSS JOIN LATERAL (
    SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = l.user_id OFFSET 0
) AS u
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND u.deleted_at IS NULL
    AND NOT EXISTS (
        SELECT FROM tallystick.referral_codes AS held WHERE held.user_id = l.user_id AND held.is_canonical OFFSET 0
    )
ORDER BY l.position;

-- assign(run, codes, user_ids, at) -> UserId
-- A code that a legacy user keeps is never assigned to another user.
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at, backfill_run)
SELECT new.code, new.user_id, true, $4::timestamptz, $1::bigint
FROM unnest($2::text[], $3::text[]) AS new (code, user_id)
WHERE NOT EXISTS (
    SELECT FROM tallystick.legacy_codes AS c WHERE c.code = new.code AND c.kept_by IS NULL OFFSET 0
)
ORDER BY new.code
ON CONFLICT DO NOTHING
RETURNING user_id;

-- alias(run, first, last, at) -> nothing
-- All other codes that a user keeps become aliases.
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at, demoted_at, backfill_run)
SELECT c.code, c.user_id, false, coalesce(c.created_at, $4::timestamptz), $4::timestamptz, c.run
FROM tallystick.legacy_codes AS c
CROSS JOIN LATERAL (
    SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = c.user_id OFFSET 0
) AS u
WHERE
    c.run = $1::bigint AND c.position BETWEEN $2::bigint AND $3::bigint
    AND c.kept_by IS NULL AND u.deleted_at IS NULL
ORDER BY c.code
ON CONFLICT DO NOTHING;

-- note_conflicts(run, first, last, at) -> nothing
-- A conflict is a code that a user claimed and another user has: the plan decided so ('duplicate'), or the code was
-- taken here before the run ('held').
INSERT INTO tallystick.code_conflicts (code, user_id, kept_by, reason, run, created_at)
SELECT
    c.code, c.user_id, coalesce(book.user_id, c.kept_by),
    CASE WHEN c.kept_by IS NULL THEN 'held' ELSE 'duplicate' END,
    c.run, $4::timestamptz
FROM tallystick.legacy_codes AS c
CROSS JOIN LATERAL (
    SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = c.user_id OFFSET 0
) AS u
LEFT JOIN LATERAL (
    SELECT held.user_id FROM tallystick.referral_codes AS held WHERE held.code = c.code OFFSET 0
) AS book ON true
WHERE
    c.run = $1::bigint AND c.position BETWEEN $2::bigint AND $3::bigint AND u.deleted_at IS NULL
    AND coalesce(book.user_id, c.kept_by, c.user_id) <> c.user_id
ORDER BY c.code, c.user_id
ON CONFLICT (code, user_id) DO NOTHING;

-- lock_pairs(run, first, last) -> UserId
SELECT u.user_id
FROM (
    SELECT DISTINCT paired.user_id COLLATE "C" AS user_id
    FROM tallystick.legacy_users AS l
    CROSS JOIN LATERAL unnest(ARRAY[l.user_id, l.inviter_id]) AS paired (user_id)
    WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.inviter_id IS NOT NULL
    ORDER BY user_id
) AS asked
CROSS JOIN LATERAL (
    SELECT held.user_id FROM tallystick.users AS held WHERE held.user_id = asked.user_id FOR NO KEY UPDATE
) AS u;

-- connect(run, first, last, at) -> int
-- A user who has an inviter keeps that inviter, and two users never invite each other. The edge names the code where
-- the code is the inviter's here too. The same statement raises the inviters' counters.
WITH connected AS (
    INSERT INTO tallystick.referral_edges (invitee_id, inviter_id, code, arrival_id, created_at, backfill_run)
    SELECT
        l.user_id, l.inviter_id, book.code, md5(l.run || '|' || l.user_id)::uuid,
        coalesce(l.created_at, $4::timestamptz), l.run
    FROM tallystick.legacy_users AS l
    CROSS JOIN LATERAL (
        SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = l.user_id OFFSET 0
    ) AS invitee
    CROSS JOIN LATERAL (
        SELECT held.user_id FROM tallystick.users AS held WHERE held.user_id = l.inviter_id OFFSET 0
    ) AS inviter
    LEFT JOIN LATERAL (
        SELECT held.code FROM tallystick.referral_codes AS held
        WHERE held.code = l.inviter_code AND held.user_id = l.inviter_id
        OFFSET 0
    ) AS book ON true
    WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND invitee.deleted_at IS NULL
    ORDER BY l.user_id
    ON CONFLICT DO NOTHING
    RETURNING inviter_id
),

counted AS (
    SELECT inviter_id, count(*) AS invitees
    FROM connected
    GROUP BY inviter_id
),

raised AS (
    UPDATE tallystick.users AS u
    SET referrals = u.referrals + c.invitees
    FROM counted AS c
    WHERE u.user_id = c.inviter_id
)

SELECT count(*)
FROM connected;

-- not_connected(run, first, last) -> int
-- Referrals that were not stored: the user has another inviter, the inviter was invited by the user, or one of them was
-- deleted.
SELECT l.position
FROM tallystick.legacy_users AS l
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.inviter_id IS NOT NULL
    AND NOT EXISTS (
        SELECT FROM tallystick.referral_edges AS e
        WHERE e.invitee_id = l.user_id AND e.inviter_id = l.inviter_id
        OFFSET 0
    )
ORDER BY l.position;

-- edges_wanted(run, first, last) -> int
SELECT count(*)
FROM tallystick.legacy_users AS l
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.inviter_id IS NOT NULL;

-- points(run, first, last) -> (position, user_id, points)
SELECT l.position, l.user_id, l.points
FROM tallystick.legacy_users AS l
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.points IS NOT NULL
ORDER BY l.position;
