-- lock(run, first, last) -> UserId
-- All users whose rows change: the users of the chunk and their inviters, in the order of ids. A transaction that
-- inserts a reference to one of them waits.
SELECT u.user_id
FROM tallystick.users AS u
WHERE
    u.user_id IN (
        SELECT unnest(ARRAY[l.user_id, l.inviter_id])
        FROM tallystick.legacy_users AS l
        WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
    )
ORDER BY u.user_id
FOR UPDATE;

-- lock_accounts(run, first, last) -> UserId
SELECT a.user_id
FROM tallystick.ledger_accounts AS a
WHERE
    a.unit = 'points' AND a.user_id IN (
        SELECT l.user_id FROM tallystick.legacy_users AS l
        WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.points IS NOT NULL
    )
ORDER BY a.user_id, a.unit
FOR UPDATE;

-- uncredit(run, first, last, correlation_id) -> int
-- Only the last entry of an account can be deleted: later entries continue its balance.
WITH gone AS (
    DELETE FROM tallystick.ledger_entries AS e
    USING tallystick.ledger_accounts AS a, tallystick.legacy_users AS l
    WHERE
        l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.points IS NOT NULL
        AND e.user_id = l.user_id AND e.unit = 'points' AND e.event_type = 'backfill' AND e.event_key = 'points'
        AND e.correlation_id = $4::text
        AND a.user_id = e.user_id AND a.unit = e.unit AND a.version = e.seq
    RETURNING e.user_id, e.seq, e.amount, e.balance_before
),

lowered AS (
    UPDATE tallystick.ledger_accounts AS a
    SET
        balance = g.balance_before,
        version = g.seq - 1,
        lifetime = a.lifetime - g.amount,
        updated_at = (
            SELECT before.created_at FROM tallystick.ledger_entries AS before
            WHERE before.user_id = g.user_id AND before.unit = 'points' AND before.seq = g.seq - 1
        )
    FROM gone AS g
    WHERE a.user_id = g.user_id AND a.unit = 'points'
)

SELECT count(*)
FROM gone;

-- credited(run, first, last, correlation_id) -> int
SELECT count(*)
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.ledger_entries AS e
    ON
        e.user_id = l.user_id AND e.unit = 'points' AND e.event_type = 'backfill' AND e.event_key = 'points'
        AND e.correlation_id = $4::text
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.points IS NOT NULL;

-- close_accounts(run, first, last) -> nothing
-- Accounts without entries.
DELETE FROM tallystick.ledger_accounts AS a
USING tallystick.legacy_users AS l
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND l.points IS NOT NULL
    AND a.user_id = l.user_id AND a.unit = 'points' AND a.version = 0 AND a.frozen_at IS NULL;

-- disconnect(run, first, last) -> int
WITH gone AS (
    DELETE FROM tallystick.referral_edges AS e
    USING tallystick.legacy_users AS l
    WHERE
        l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
        AND e.invitee_id = l.user_id AND e.backfill_run = l.run
    RETURNING e.inviter_id
),

counted AS (
    SELECT inviter_id, count(*) AS invitees
    FROM gone
    GROUP BY inviter_id
),

lowered AS (
    UPDATE tallystick.users AS u
    SET referrals = u.referrals - c.invitees
    FROM counted AS c
    WHERE u.user_id = c.inviter_id
)

SELECT count(*)
FROM gone;

-- keep_in_use(run, first, last, at) -> (user_id, is_attributed)
-- A code that was clicked or that an edge names stays, as an alias. A retired code stays as it is, so that no other
-- user gets it.
UPDATE tallystick.referral_codes AS c
SET is_canonical = false, demoted_at = coalesce(c.demoted_at, $4::timestamptz)
FROM tallystick.legacy_users AS l
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
    AND c.user_id = l.user_id AND c.backfill_run = l.run AND c.retired_at IS NULL
    AND (
        EXISTS (SELECT FROM tallystick.clicked_codes AS k WHERE k.code = c.code)
        OR EXISTS (SELECT FROM tallystick.referral_edges AS e WHERE e.code = c.code)
    )
RETURNING c.user_id, EXISTS (SELECT FROM tallystick.referral_edges AS e WHERE e.code = c.code) AS is_attributed;

-- remove_codes(run, first, last) -> nothing
DELETE FROM tallystick.referral_codes AS c
USING tallystick.legacy_users AS l
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
    AND c.user_id = l.user_id AND c.backfill_run = l.run AND c.retired_at IS NULL
    AND NOT EXISTS (SELECT FROM tallystick.clicked_codes AS k WHERE k.code = c.code)
    AND NOT EXISTS (SELECT FROM tallystick.referral_edges AS e WHERE e.code = c.code);

-- without_canonical(run, first, last) -> UserId
-- Users who keep aliases need a canonical code.
SELECT l.user_id
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.users AS u ON u.user_id = l.user_id AND u.deleted_at IS NULL
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
    AND EXISTS (SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = l.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = l.user_id AND c.is_canonical)
ORDER BY l.position;

-- assign(codes, user_ids, at) -> UserId
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at)
SELECT new.code, new.user_id, true, $3::timestamptz
FROM unnest($1::text[], $2::text[]) AS new (code, user_id)
ORDER BY new.code
ON CONFLICT DO NOTHING
RETURNING user_id;

-- unmirror(run, first, last) -> nothing
DELETE FROM tallystick.metadata_mirror AS m
USING tallystick.legacy_users AS l
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint AND m.user_id = l.user_id;

-- leaving(run, first, last) -> UserId
-- Users whom the run created and who have no other data than the run's.
SELECT u.user_id
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.users AS u ON u.user_id = l.user_id AND u.backfill_run = l.run
WHERE
    l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint
    AND u.deleted_at IS NULL AND u.profile_at IS NULL
    AND coalesce(u.email = l.email, u.email IS NULL)
    AND coalesce(u.username = l.username, u.username IS NULL)
    AND u.display_name IS NOT DISTINCT FROM l.display_name
    AND u.phone IS NOT DISTINCT FROM l.phone
    AND NOT EXISTS (SELECT FROM tallystick.referral_codes AS x WHERE x.user_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.referral_edges AS x WHERE x.invitee_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.referral_edges AS x WHERE x.inviter_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.attribution_attempts AS x WHERE x.user_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.ledger_accounts AS x WHERE x.user_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.credentials AS x WHERE x.user_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.rating_slips AS x WHERE x.player_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.pending_accruals AS x WHERE x.player_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.rewards AS x WHERE x.owner_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.collected_rewards AS x WHERE x.user_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.invites AS x WHERE x.owner_id = u.user_id)
    AND NOT EXISTS (SELECT FROM tallystick.invite_uses AS x WHERE x.user_id = u.user_id)
    AND NOT EXISTS (
        SELECT FROM tallystick.phone_verifications AS x WHERE x.user_id = u.user_id AND x.source <> 'backfill'
    );

-- imported(run, first, last) -> int
SELECT count(*)
FROM tallystick.legacy_users AS l
INNER JOIN tallystick.users AS u ON u.user_id = l.user_id AND u.backfill_run = l.run
WHERE l.run = $1::bigint AND l.position BETWEEN $2::bigint AND $3::bigint;

-- unverify_phones(user_ids) -> nothing
DELETE FROM tallystick.phone_verifications
WHERE user_id = ANY($1::text[]) AND source = 'backfill';

-- remove_users(user_ids) -> nothing
DELETE FROM tallystick.users
WHERE user_id = ANY($1::text[]);

-- forget_conflicts(run) -> nothing
DELETE FROM tallystick.code_conflicts
WHERE run = $1::bigint;
