-- lock(lock_ids) -> nothing
-- Held to the end of the transaction, in the order given: two batches queue instead of deadlocking.
SELECT pg_advisory_xact_lock(asked.lock_id)
FROM unnest($1::bigint[]) AS asked (lock_id);

-- rewards(user_ids, up_to) -> (user_id, count)
-- A range of one index for each user, which ends at the bound.
SELECT asked.user_id, held.count
FROM unnest($1::text[]) AS asked (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.rewards AS r WHERE r.owner_id = asked.user_id LIMIT $2::bigint) AS few
) AS held;

-- aliases(user_ids, up_to) -> (user_id, count)
SELECT asked.user_id, held.count
FROM unnest($1::text[]) AS asked (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (
        SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = asked.user_id AND NOT c.is_canonical LIMIT $2::bigint
    ) AS few
) AS held;

-- invites(user_ids, up_to) -> (user_id, count)
SELECT asked.user_id, held.count
FROM unnest($1::text[]) AS asked (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.invites AS i WHERE i.owner_id = asked.user_id LIMIT $2::bigint) AS few
) AS held;

-- slips(user_ids, up_to) -> (user_id, count)
SELECT asked.user_id, held.count
FROM unnest($1::text[]) AS asked (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (
        SELECT FROM tallystick.rating_slips AS s WHERE s.player_id = asked.user_id AND s.state <> 'closed' LIMIT $2::bigint
    ) AS few
) AS held;
