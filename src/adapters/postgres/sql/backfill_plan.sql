-- next_run() -> int
SELECT coalesce(max(run), 0) + 1
FROM tallystick.backfill_runs;

-- rank() -> nothing
-- The latest line of a user has age 1. A line without a time counts as older than all lines with a time.
INSERT INTO pg_temp.ranked
SELECT
    i.*,
    row_number() OVER (PARTITION BY i.user_id ORDER BY i.created_at DESC NULLS LAST, i.line DESC),
    count(*) OVER (PARTITION BY i.user_id)
FROM pg_temp.incoming AS i;

-- gather() -> nothing
-- One row a user, in the order of ids. Nearly all users have one line. Of several lines, the latest with a value counts
-- for each field, except for the inviter, where the first counts. Users who were deleted here stay deleted.
INSERT INTO pg_temp.people (
    position, user_id, created_at, email, email_key, username, username_key, display_name, phone,
    phone_verified, referred_by, referred_code, points, is_here
)
SELECT row_number() OVER (ORDER BY merged.user_id), merged.*, here.user_id IS NOT NULL
FROM (
    SELECT
        user_id, created_at, email, email_key, username, username_key, display_name, phone, phone_verified,
        referred_by, referred_code, points
    FROM pg_temp.ranked
    WHERE lines = 1
    UNION ALL
    SELECT
        user_id,
        min(created_at),
        (array_agg(email ORDER BY age) FILTER (WHERE email IS NOT NULL))[1],
        (array_agg(email_key ORDER BY age) FILTER (WHERE email IS NOT NULL))[1],
        (array_agg(username ORDER BY age) FILTER (WHERE username IS NOT NULL))[1],
        (array_agg(username_key ORDER BY age) FILTER (WHERE username IS NOT NULL))[1],
        (array_agg(display_name ORDER BY age) FILTER (WHERE display_name IS NOT NULL))[1],
        (array_agg(phone ORDER BY age) FILTER (WHERE phone IS NOT NULL))[1],
        bool_or(phone_verified),
        (array_agg(referred_by ORDER BY age DESC) FILTER (WHERE referred_by IS NOT NULL))[1],
        (array_agg(referred_code ORDER BY age DESC) FILTER (WHERE referred_by IS NOT NULL))[1],
        (array_agg(points ORDER BY age) FILTER (WHERE points IS NOT NULL))[1]
    FROM pg_temp.ranked
    WHERE lines > 1
    GROUP BY user_id
) AS merged
LEFT JOIN tallystick.users AS here ON here.user_id = merged.user_id
WHERE here.deleted_at IS NULL;

-- claim() -> nothing
-- The latest code of a user is canonical; the others are aliases.
INSERT INTO pg_temp.claims (position, code, user_id, is_canonical, created_at, claimed_at)
SELECT p.position, c.code, p.user_id, c.newest = 1, c.created_at, p.created_at
FROM (
    SELECT
        user_id, code, max(created_at) AS created_at,
        row_number() OVER (PARTITION BY user_id ORDER BY min(age)) AS newest
    FROM pg_temp.ranked
    WHERE code IS NOT NULL
    GROUP BY user_id, code
) AS c
INNER JOIN pg_temp.people AS p ON p.user_id = c.user_id;

-- unresolved(limit) -> (code, user_id, claimed_at, total)
-- Codes with several claimants of whom at least one has no time: the rule cannot decide who came first.
SELECT c.code, c.user_id, c.claimed_at, count(*) OVER () AS total
FROM pg_temp.claims AS c
WHERE
    c.code IN (
        SELECT code FROM pg_temp.claims GROUP BY code HAVING count(*) > 1 AND count(claimed_at) < count(*)
    )
ORDER BY c.code, c.claimed_at, c.user_id
LIMIT $1::bigint;

-- contest() -> nothing
-- The earliest user keeps a code; of users of the same time, the first by id.
WITH winners AS (
    SELECT DISTINCT ON (c.code) c.code, c.user_id
    FROM pg_temp.claims AS c
    WHERE c.code IN (SELECT code FROM pg_temp.claims GROUP BY code HAVING count(*) > 1)
    ORDER BY c.code, c.claimed_at, c.user_id
)
UPDATE pg_temp.claims AS c
SET kept_by = w.user_id
FROM winners AS w
WHERE c.code = w.code AND c.user_id <> w.user_id;

-- refer(referred_by) -> nothing
-- A code names the legacy user who keeps it, else its owner here; an id names the user with that id. A value that names
-- two users is refused.
UPDATE pg_temp.people AS p
SET
    inviter_id = CASE WHEN found.refusal IS NULL THEN found.inviter_id END,
    inviter_code = CASE WHEN found.refusal IS NULL AND found.by_code = found.inviter_id THEN p.referred_code END,
    refusal = found.refusal
FROM (
    SELECT
        asked.position, led.by_code, coalesce(led.by_code, led.by_id) AS inviter_id,
        CASE
            WHEN led.by_code <> led.by_id THEN 'ambiguous'
            WHEN coalesce(led.by_code, led.by_id) IS NULL THEN 'unknown'
            WHEN coalesce(led.by_code, led.by_id) = asked.user_id THEN 'self'
        END AS refusal
    FROM pg_temp.people AS asked
    LEFT JOIN pg_temp.claims AS c ON c.code = asked.referred_code AND c.kept_by IS NULL
    LEFT JOIN tallystick.referral_codes AS book ON book.code = asked.referred_code AND book.retired_at IS NULL
    LEFT JOIN pg_temp.people AS imported ON imported.user_id = asked.referred_by
    LEFT JOIN tallystick.users AS here ON here.user_id = asked.referred_by
    CROSS JOIN LATERAL (
        SELECT
            CASE WHEN $1::text <> 'user_id' THEN coalesce(c.user_id, book.user_id) END AS by_code,
            CASE WHEN $1::text <> 'code' THEN coalesce(imported.user_id, here.user_id) END AS by_id
    ) AS led
    WHERE asked.referred_by IS NOT NULL
) AS found
WHERE found.position = p.position;

-- break_cycles() -> nothing
-- Where two users name each other as inviter, the user who came first loses the inviter.
UPDATE pg_temp.people AS p
SET inviter_id = NULL, inviter_code = NULL, refusal = 'cycle'
FROM pg_temp.people AS other
WHERE
    p.inviter_id = other.user_id AND other.inviter_id = p.user_id
    AND (coalesce(p.created_at, 'infinity'), p.user_id) < (coalesce(other.created_at, 'infinity'), other.user_id);

-- share_out_emails() -> nothing
-- The earliest user keeps an address.
UPDATE pg_temp.people AS p
SET email = NULL, email_key = NULL
FROM (
    SELECT position, row_number() OVER (PARTITION BY email_key ORDER BY created_at, user_id) AS claim_rank
    FROM pg_temp.people
    WHERE email IS NOT NULL
) AS claimed
WHERE claimed.position = p.position AND claimed.claim_rank > 1;

-- share_out_usernames() -> nothing
UPDATE pg_temp.people AS p
SET username = NULL, username_key = NULL
FROM (
    SELECT position, row_number() OVER (PARTITION BY username_key ORDER BY created_at, user_id) AS claim_rank
    FROM pg_temp.people
    WHERE username IS NOT NULL
) AS claimed
WHERE claimed.position = p.position AND claimed.claim_rank > 1;

-- count_people() -> (users, users_here, with_code_here, profiles, verified, points_total)
SELECT
    count(*) AS users,
    count(*) FILTER (WHERE p.is_here) AS users_here,
    count(c.code) AS with_code_here,
    count(coalesce(p.email, p.username, p.display_name, p.phone)) AS profiles,
    count(*) FILTER (WHERE p.phone_verified) AS verified,
    coalesce(sum(p.points), 0)::bigint AS points_total
FROM pg_temp.people AS p
LEFT JOIN tallystick.referral_codes AS c ON p.is_here AND c.user_id = p.user_id AND c.is_canonical;

-- count_deleted_here() -> int
SELECT count(DISTINCT r.user_id)
FROM pg_temp.ranked AS r
INNER JOIN tallystick.users AS u ON u.user_id = r.user_id
WHERE r.age = 1 AND u.deleted_at IS NOT NULL;

-- count_claims() -> (duplicate_codes, duplicate_users, codes, kept, reminted, aliases, held_here)
-- A legacy user loses a code that another user has here. A user who has a canonical code here gets aliases only.
SELECT
    count(DISTINCT c.code) FILTER (WHERE c.kept_by IS NOT NULL) AS duplicate_codes,
    count(DISTINCT c.user_id) FILTER (WHERE c.kept_by IS NOT NULL) AS duplicate_users,
    count(*) FILTER (WHERE c.is_canonical) AS codes,
    count(*) FILTER (
        WHERE c.is_canonical AND own.code IS NULL AND c.kept_by IS NULL AND (book.code IS NULL OR book.user_id = c.user_id)
    ) AS kept,
    count(*) FILTER (
        WHERE c.is_canonical AND own.code IS NULL
        AND (c.kept_by IS NOT NULL OR (book.code IS NOT NULL AND book.user_id <> c.user_id))
    ) AS reminted,
    count(*) FILTER (
        WHERE (NOT c.is_canonical OR own.code IS NOT NULL) AND c.kept_by IS NULL AND book.code IS NULL
    ) AS aliases,
    count(*) FILTER (WHERE c.kept_by IS NULL AND book.user_id <> c.user_id) AS held_here
FROM pg_temp.claims AS c
LEFT JOIN tallystick.referral_codes AS book ON book.code = c.code
LEFT JOIN tallystick.referral_codes AS own ON own.user_id = c.user_id AND own.is_canonical;

-- count_refusals() -> (refusal, users)
SELECT refusal, count(*) AS users
FROM pg_temp.people
WHERE refusal IS NOT NULL
GROUP BY refusal
ORDER BY refusal;

-- sum_claims() -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', position, user_id, code, is_canonical, kept_by), 0)), 0)::text AS total
FROM pg_temp.claims;

-- sum_edges() -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', user_id, inviter_id), 0)), 0)::text AS total
FROM pg_temp.people
WHERE inviter_id IS NOT NULL;

-- sum_points() -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', user_id, points), 0)), 0)::text AS total
FROM pg_temp.people
WHERE points IS NOT NULL;

-- record_run(run, plan_hash, source_hash, plan, planned_at) -> nothing
INSERT INTO tallystick.backfill_runs (run, plan_hash, state, source_hash, plan, planned_at)
VALUES ($1, $2, 'planned', $3, $4, $5);

-- record_users(run) -> nothing
INSERT INTO tallystick.legacy_users (
    run, position, user_id, created_at, email, email_key, username, username_key, display_name, phone,
    phone_verified, inviter_id, inviter_code, points
)
SELECT
    $1::bigint, position, user_id, created_at, email, email_key, username, username_key, display_name, phone,
    phone_verified, inviter_id, inviter_code, points
FROM pg_temp.people
ORDER BY position;

-- record_codes(run) -> nothing
INSERT INTO tallystick.legacy_codes (run, position, code, user_id, is_canonical, created_at, kept_by)
SELECT $1::bigint, position, code, user_id, is_canonical, created_at, kept_by
FROM pg_temp.claims
ORDER BY position, code;

-- record_malformed(run) -> nothing
INSERT INTO tallystick.backfill_malformed (run, line, reason)
SELECT $1::bigint, line, reason
FROM pg_temp.malformed
ORDER BY line;

-- faults() -> LineFaults
SELECT reason, count(*) AS lines, (array_agg(line ORDER BY line))[1:5] AS first_lines
FROM pg_temp.malformed
GROUP BY reason
ORDER BY count(*) DESC, min(line);
