-- excused(codes, user_ids) -> (code, user_id, is_conflict, is_deleted)
-- Codes that need not resolve to their user: the conflict was listed, or the user was deleted.
SELECT asked.code, asked.user_id, c.code IS NOT NULL AS is_conflict, u.deleted_at IS NOT NULL AS is_deleted
FROM unnest($1::text[], $2::text[]) AS asked (code, user_id)
LEFT JOIN tallystick.code_conflicts AS c ON c.code = asked.code AND c.user_id = asked.user_id
LEFT JOIN tallystick.users AS u ON u.user_id = asked.user_id
WHERE c.code IS NOT NULL OR u.deleted_at IS NOT NULL;

-- repeated_codes() -> int
SELECT count(*) - count(DISTINCT code)
FROM tallystick.referral_codes;

-- missing_codes(run) -> int
SELECT count(*)
FROM tallystick.legacy_users AS l
LEFT JOIN tallystick.users AS u ON u.user_id = l.user_id
WHERE
    l.run = $1::bigint AND u.deleted_at IS NULL
    AND NOT EXISTS (
        SELECT FROM tallystick.referral_codes AS held WHERE held.user_id = l.user_id AND held.is_canonical
    );

-- aliases(run) -> (wanted, found)
-- Every code that a living user keeps must be that user's canonical code or an alias.
SELECT
    count(*) FILTER (WHERE own.code IS DISTINCT FROM c.code) AS wanted,
    count(*) FILTER (WHERE own.code IS DISTINCT FROM c.code AND book.user_id = c.user_id) AS found
FROM tallystick.legacy_codes AS c
INNER JOIN tallystick.users AS u ON u.user_id = c.user_id AND u.deleted_at IS NULL
LEFT JOIN tallystick.referral_codes AS own ON own.user_id = c.user_id AND own.is_canonical
LEFT JOIN tallystick.referral_codes AS book ON book.code = c.code AND NOT book.is_canonical
LEFT JOIN tallystick.code_conflicts AS lost ON lost.code = c.code AND lost.user_id = c.user_id
WHERE c.run = $1::bigint AND c.kept_by IS NULL AND lost.code IS NULL;

-- edges_imported(run) -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', l.user_id, l.inviter_id), 0)), 0)::text AS total
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.referral_edges AS e ON e.invitee_id = l.user_id AND e.inviter_id = l.inviter_id
WHERE l.run = $1::bigint;

-- edges_left_out(run, positions) -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', user_id, inviter_id), 0)), 0)::text AS total
FROM tallystick.legacy_users
WHERE run = $1::bigint AND position = ANY($2::bigint[]);

-- edges_invented(run) -> int
-- Edges with the number of the run that its plan does not have.
SELECT count(*)
FROM tallystick.referral_edges AS e
LEFT JOIN tallystick.legacy_users AS l ON l.run = e.backfill_run AND l.user_id = e.invitee_id
WHERE e.backfill_run = $1::bigint AND e.inviter_id IS DISTINCT FROM l.inviter_id;

-- points_imported(run, correlation_id) -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', l.user_id, l.points), 0)), 0)::text AS total
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.ledger_entries AS e
    ON
        e.user_id = l.user_id AND e.unit = 'points' AND e.event_type = 'backfill' AND e.event_key = 'points'
        AND e.amount = l.points AND e.correlation_id = $2::text
WHERE l.run = $1::bigint AND l.points IS NOT NULL;

-- points_left_out(run, positions) -> Checksum
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', user_id, points), 0)), 0)::text AS total
FROM tallystick.legacy_users
WHERE run = $1::bigint AND position = ANY($2::bigint[]);
