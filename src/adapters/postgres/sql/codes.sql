-- canonical(user_ids) -> (user_id, code)
SELECT user_id, code
FROM tallystick.referral_codes
WHERE user_id = ANY($1::text[]) AND is_canonical;

-- resolve(codes) -> CodeEntry
-- Two index look-ups for each code, whatever the answer is, so that response times do not tell which codes exist. An
-- unknown code is looked up with a user id that no user has. The deletion of the user is checked too, because aliases
-- of a user who was just deleted may not be retired yet.
SELECT entry.code, entry.user_id, entry.is_canonical, entry.created_at
FROM (
    SELECT c.code, c.user_id, c.is_canonical, c.created_at, c.retired_at, u.deleted_at
    FROM unnest($1::text[]) AS requested (code)
    LEFT JOIN LATERAL (
        SELECT held.* FROM tallystick.referral_codes AS held WHERE held.code = requested.code OFFSET 0
    ) AS c ON true
    LEFT JOIN LATERAL (
        SELECT held.deleted_at FROM tallystick.users AS held WHERE held.user_id = coalesce(c.user_id, '') OFFSET 0
    ) AS u ON true
    OFFSET 0
) AS entry
WHERE entry.code IS NOT NULL AND entry.retired_at IS NULL AND entry.deleted_at IS NULL;

-- newest_aliases(user_ids) -> (user_id, code)
SELECT DISTINCT ON (user_id) user_id, code
FROM tallystick.referral_codes
WHERE user_id = ANY($1::text[]) AND NOT is_canonical
ORDER BY user_id, demoted_at DESC, code;

-- assign(codes, user_ids, created_at) -> UserId
-- In code order: two batches that draw the same candidates queue instead of deadlocking. A code that a backfill run
-- planned for another user counts as taken.
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at)
SELECT new.code, new.user_id, true, $3::timestamptz
FROM unnest($1::text[], $2::text[]) AS new (code, user_id)
WHERE NOT EXISTS (
    SELECT FROM tallystick.legacy_codes AS c
    INNER JOIN tallystick.backfill_runs AS r ON r.run = c.run
    WHERE c.code = new.code AND c.kept_by IS NULL AND c.user_id <> new.user_id AND r.state <> 'rolled_back'
    OFFSET 0
)
ORDER BY new.code
ON CONFLICT DO NOTHING
RETURNING user_id;

-- demote(user_ids, at) -> nothing
UPDATE tallystick.referral_codes
SET is_canonical = false, demoted_at = $2::timestamptz
WHERE user_id = ANY($1::text[]) AND is_canonical;

-- retire(user_ids, at) -> nothing
UPDATE tallystick.referral_codes
SET retired_at = $2::timestamptz
WHERE user_id = ANY($1::text[]) AND is_canonical AND retired_at IS NULL;

-- retire_aliases(user_id, at, after, limit) -> (rows, last)
-- The page includes retired aliases, so that no step reads a row that an earlier step read. With an array, the UPDATE
-- does one look-up by key for each code; a join that was planned when the table was small would scan all of it.
WITH page AS (
    SELECT code, retired_at
    FROM tallystick.referral_codes
    WHERE user_id = $1::text AND NOT is_canonical AND code > $3::text
    ORDER BY code
    LIMIT $4::bigint
), retired AS (
    UPDATE tallystick.referral_codes AS held
    SET retired_at = $2::timestamptz
    WHERE held.code = ANY(ARRAY(SELECT page.code FROM page WHERE page.retired_at IS NULL))
)
SELECT count(*) AS rows, max(code) AS last
FROM page;
