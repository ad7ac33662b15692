-- excused(codes, user_ids)
-- Why a code may not lead to this user: it is somebody else's and was listed, or the user was deleted.
SELECT asked.code, asked.user_id, c.code IS NOT NULL AS is_conflict, u.deleted_at IS NOT NULL AS is_deleted
FROM unnest($1::text[], $2::text[]) AS asked (code, user_id)
LEFT JOIN tallystick.code_conflicts AS c ON c.code = asked.code AND c.user_id = asked.user_id
LEFT JOIN tallystick.users AS u ON u.user_id = asked.user_id
WHERE c.code IS NOT NULL OR u.deleted_at IS NOT NULL;

-- repeated_codes()
SELECT count(*) - count(DISTINCT code)
FROM tallystick.referral_codes;

-- missing_codes(run)
SELECT count(*)
FROM tallystick.legacy_users AS l
LEFT JOIN tallystick.users AS u ON u.user_id = l.user_id
WHERE
    l.run = $1::bigint AND u.deleted_at IS NULL
    AND NOT EXISTS (
        SELECT FROM tallystick.referral_codes AS held WHERE held.user_id = l.user_id AND held.is_canonical
    );

-- aliases(run)
-- Every code that a living user brought and that is nobody else's is canonical, or an alias beside the canonical one.
SELECT
    count(*) FILTER (WHERE own.code IS DISTINCT FROM c.code) AS wanted,
    count(*) FILTER (WHERE own.code IS DISTINCT FROM c.code AND book.user_id = c.user_id) AS found
FROM tallystick.legacy_codes AS c
INNER JOIN tallystick.users AS u ON u.user_id = c.user_id AND u.deleted_at IS NULL
LEFT JOIN tallystick.referral_codes AS own ON own.user_id = c.user_id AND own.is_canonical
LEFT JOIN tallystick.referral_codes AS book ON book.code = c.code AND NOT book.is_canonical
LEFT JOIN tallystick.code_conflicts AS lost ON lost.code = c.code AND lost.user_id = c.user_id
WHERE c.run = $1::bigint AND c.kept_by IS NULL AND lost.code IS NULL;

-- edges_brought(run)
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', l.user_id, l.inviter_id), 0)), 0)::text AS total
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.referral_edges AS e ON e.invitee_id = l.user_id AND e.inviter_id = l.inviter_id
WHERE l.run = $1::bigint;

-- edges_excused(run)
-- Referrals that stood in the way of what was here: another inviter, the other way round, or somebody who is gone.
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', l.user_id, l.inviter_id), 0)), 0)::text AS total
FROM tallystick.legacy_users AS l
LEFT JOIN tallystick.users AS invitee ON invitee.user_id = l.user_id
LEFT JOIN tallystick.referral_edges AS e ON e.invitee_id = l.user_id
LEFT JOIN tallystick.referral_edges AS back ON back.invitee_id = l.inviter_id AND back.inviter_id = l.user_id
WHERE
    l.run = $1::bigint AND l.inviter_id IS NOT NULL AND e.inviter_id IS DISTINCT FROM l.inviter_id
    AND (e.invitee_id IS NOT NULL OR back.invitee_id IS NOT NULL OR invitee.deleted_at IS NOT NULL);

-- points_brought(run)
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', l.user_id, l.points), 0)), 0)::text AS total
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.ledger_entries AS e
    ON
        e.user_id = l.user_id AND e.unit = 'points' AND e.event_type = 'backfill' AND e.event_key = 'points'
        AND e.amount = l.points
WHERE l.run = $1::bigint AND l.points IS NOT NULL;

-- points_excused(run, correlation_id)
-- Points that were brought by an earlier run, or could not be posted: to an account that is frozen, to who is gone.
SELECT
    count(*) AS rows,
    coalesce(sum(hashtextextended(concat_ws('|', l.user_id, l.points), 0)), 0)::text AS total
FROM tallystick.legacy_users AS l
LEFT JOIN tallystick.users AS u ON u.user_id = l.user_id
LEFT JOIN tallystick.ledger_accounts AS a ON a.user_id = l.user_id AND a.unit = 'points'
LEFT JOIN tallystick.ledger_entries AS e
    ON
        e.user_id = l.user_id AND e.unit = 'points' AND e.event_type = 'backfill' AND e.event_key = 'points'
WHERE
    l.run = $1::bigint AND l.points IS NOT NULL AND e.amount IS DISTINCT FROM l.points
    AND (e.correlation_id <> $2::text OR u.deleted_at IS NOT NULL OR a.frozen_at IS NOT NULL);
