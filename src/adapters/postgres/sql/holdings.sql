-- lock(lock_ids) -> nothing
-- The locks last to the end of the transaction and are taken in the given order: two batches queue instead of
-- deadlocking.
SELECT pg_advisory_xact_lock(requested.lock_id)
FROM unnest($1::bigint[]) AS requested (lock_id);

-- rewards(user_ids, up_to) -> (user_id, count)
-- For each user, one index range is read up to the bound.
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.rewards AS r WHERE r.owner_id = requested.user_id LIMIT $2::bigint) AS bounded
) AS held;

-- aliases(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (
        SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = requested.user_id
        AND NOT c.is_canonical LIMIT $2::bigint
    ) AS bounded
) AS held;

-- invites(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.invites AS i WHERE i.owner_id = requested.user_id LIMIT $2::bigint) AS bounded
) AS held;

-- slips(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (
        SELECT FROM tallystick.rating_slips AS s WHERE s.player_id = requested.user_id
        AND s.state <> 'closed' LIMIT $2::bigint
    ) AS bounded
) AS held;

-- channels(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.channels AS c WHERE c.owner_id = requested.user_id LIMIT $2::bigint) AS bounded
) AS held;

-- stage_rooms(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.stage_rosters AS r WHERE r.owner_id = requested.user_id LIMIT $2::bigint) AS bounded
) AS held;

-- overlays(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (
        SELECT FROM tallystick.session_overlays AS o WHERE o.owner_id = requested.user_id
        AND o.expires_at > clock_timestamp() LIMIT $2::bigint
    ) AS bounded
) AS held;

-- overlay_sessions(user_ids, up_to) -> (user_id, count)
SELECT requested.user_id, held.count
FROM unnest($1::text[]) AS requested (user_id)
CROSS JOIN LATERAL (
    SELECT count(*) AS count
    FROM (SELECT FROM tallystick.session_overlays AS o WHERE o.owner_id = requested.user_id LIMIT $2::bigint) AS bounded
) AS held;
