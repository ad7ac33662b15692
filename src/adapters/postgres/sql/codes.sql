-- canonical(user_ids)
SELECT user_id, code
FROM tallystick.referral_codes
WHERE user_id = ANY($1::text[]) AND is_canonical;

-- resolve(codes)
-- One index look-up a code, found or not, for every kind of answer.
SELECT code, user_id, is_canonical, created_at
FROM tallystick.referral_codes
WHERE code = ANY($1::text[]) AND retired_at IS NULL;

-- newest_aliases(user_ids)
SELECT DISTINCT ON (user_id) user_id, code
FROM tallystick.referral_codes
WHERE user_id = ANY($1::text[]) AND NOT is_canonical
ORDER BY user_id, demoted_at DESC, code;

-- assign(codes, user_ids, created_at)
-- In code order: two batches that draw the same candidates queue instead of deadlocking. A code that somebody brings
-- along, or is about to, is taken.
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

-- demote(user_ids, at)
UPDATE tallystick.referral_codes
SET is_canonical = false, demoted_at = $2::timestamptz
WHERE user_id = ANY($1::text[]) AND is_canonical;

-- retire(user_ids, at)
-- Canonical codes and aliases have an index each, and both are named for that.
UPDATE tallystick.referral_codes
SET retired_at = $2::timestamptz
WHERE user_id = ANY($1::text[]) AND (is_canonical OR NOT is_canonical) AND retired_at IS NULL;
