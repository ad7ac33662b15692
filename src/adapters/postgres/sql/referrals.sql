-- find(invitee_ids) -> Edge
SELECT invitee_id, inviter_id, code, arrival_id::text, created_at
FROM tallystick.referral_edges
WHERE invitee_id = ANY($1::text[]);

-- inviters_above(user_ids, steps) -> (invitee_id, inviter_id)
-- Bounded, so that the recursion ends in imported rings too.
WITH RECURSIVE line AS (
    SELECT e.invitee_id, e.inviter_id, 1 AS step
    FROM tallystick.referral_edges AS e
    WHERE e.invitee_id = ANY($1::text[])
    UNION
    SELECT e.invitee_id, e.inviter_id, line.step + 1
    FROM line
    INNER JOIN tallystick.referral_edges AS e ON e.invitee_id = line.inviter_id
    WHERE line.step < $2::int
)

SELECT DISTINCT invitee_id, inviter_id
FROM line;

-- record(invitee_ids, inviter_ids, codes, arrival_ids, created_ats) -> nothing
INSERT INTO tallystick.referral_edges (invitee_id, inviter_id, code, arrival_id, created_at)
SELECT new.invitee_id, new.inviter_id, new.code, new.arrival_id, new.created_at
FROM unnest($1::text[], $2::text[], $3::text[], $4::uuid[], $5::timestamptz[])
AS new (invitee_id, inviter_id, code, arrival_id, created_at)
ORDER BY new.invitee_id;

-- leaders(limit) -> Leader
SELECT user_id, coalesce(display_name, username, '') AS display_name, referrals
FROM tallystick.users
WHERE deleted_at IS NULL AND referrals > 0
ORDER BY referrals DESC, user_id
LIMIT $1::bigint;

-- leaders_after(referrals, user_id, limit) -> Leader
-- Two ranges of one index: users with as many referrals and a greater id, and users with fewer referrals.
SELECT page.user_id, page.display_name, page.referrals
FROM (
    (
        SELECT user_id, coalesce(display_name, username, '') AS display_name, referrals
        FROM tallystick.users
        WHERE deleted_at IS NULL AND referrals > 0 AND referrals = $1::bigint AND user_id > $2::text
        ORDER BY user_id
        LIMIT $3::bigint
    )
    UNION ALL
    (
        SELECT user_id, coalesce(display_name, username, '') AS display_name, referrals
        FROM tallystick.users
        WHERE deleted_at IS NULL AND referrals > 0 AND referrals < $1::bigint
        ORDER BY referrals DESC, user_id
        LIMIT $3::bigint
    )
) AS page
ORDER BY page.referrals DESC, page.user_id
LIMIT $3::bigint;

-- most_connected(limit) -> (user_id, referrals)
-- Users with referrals, by their index, and where they are too few, the first users without referrals by id.
SELECT most.user_id, most.referrals
FROM (
    (
        SELECT user_id, referrals
        FROM tallystick.users
        WHERE deleted_at IS NULL AND referrals > 0
        ORDER BY referrals DESC, user_id
        LIMIT $1::bigint
    )
    UNION ALL
    (
        SELECT user_id, referrals
        FROM tallystick.users
        WHERE deleted_at IS NULL AND referrals = 0
        ORDER BY user_id
        LIMIT $1::bigint
    )
) AS most
ORDER BY most.referrals DESC, most.user_id
LIMIT $1::bigint;
