-- lock_users(user_ids) -> UserId
-- In key order, so that a repair and a batch queue instead of deadlocking.
SELECT user_id
FROM tallystick.users
WHERE user_id = ANY($1::text[])
ORDER BY user_id
FOR NO KEY UPDATE;

-- lock_accounts(user_ids, units) -> UserId
SELECT held.user_id
FROM tallystick.ledger_accounts AS held
WHERE (held.user_id, held.unit) IN (SELECT * FROM unnest($1::text[], $2::text[]))
ORDER BY held.user_id, held.unit
FOR NO KEY UPDATE;

-- lock_topics(topic_ids) -> TopicId
SELECT topic_id
FROM tallystick.topics
WHERE topic_id = ANY($1::text[])
ORDER BY topic_id
FOR NO KEY UPDATE;

-- one_code_each(user_ids, at) -> Change
WITH ranked AS (
    SELECT
        c.code, c.user_id, c.is_canonical,
        row_number() OVER (
            PARTITION BY c.user_id ORDER BY c.is_canonical DESC, coalesce(c.demoted_at, c.created_at) DESC, c.code
        ) AS place
    FROM tallystick.referral_codes AS c
    INNER JOIN tallystick.users AS u ON u.user_id = c.user_id
    WHERE c.user_id = ANY($1::text[]) AND u.deleted_at IS NULL
),

wrong AS (
    SELECT user_id, count(*) FILTER (WHERE is_canonical) AS canonical
    FROM ranked
    GROUP BY user_id
    HAVING count(*) FILTER (WHERE is_canonical) <> 1
),

changed AS (
    UPDATE tallystick.referral_codes AS held
    SET
        is_canonical = (ranked.place = 1),
        demoted_at = CASE WHEN ranked.place = 1 THEN NULL ELSE coalesce(held.demoted_at, $2::timestamptz) END
    FROM ranked
    INNER JOIN wrong ON wrong.user_id = ranked.user_id
    WHERE held.code = ranked.code AND held.is_canonical <> (ranked.place = 1)
)

SELECT user_id AS subject, canonical || ' canonical codes' AS found, '1 canonical code' AS done
FROM wrong;

-- living_codes_resolve(user_ids) -> Change
UPDATE tallystick.referral_codes AS held
SET retired_at = u.deleted_at
FROM tallystick.users AS u
WHERE
    u.user_id = held.user_id AND held.user_id = ANY($1::text[])
    AND (held.retired_at IS NULL) <> (u.deleted_at IS NULL)
    AND (held.retired_at IS NOT NULL OR u.erasing_since IS NULL)
RETURNING
    held.user_id AS subject,
    CASE WHEN u.deleted_at IS NULL THEN 'a retired code of a living user' ELSE 'a code of a deleted user' END AS found,
    CASE WHEN u.deleted_at IS NULL THEN 'resolves again' ELSE 'retired' END AS done;

-- referrals_are_edges(user_ids) -> Change
UPDATE tallystick.users AS held
SET referrals = counted.edges
FROM (
    SELECT
        was.user_id, was.referrals,
        (SELECT count(*) FROM tallystick.referral_edges AS e WHERE e.inviter_id = was.user_id) AS edges
    FROM tallystick.users AS was
    WHERE was.user_id = ANY($1::text[])
) AS counted
WHERE held.user_id = counted.user_id AND counted.referrals <> counted.edges
RETURNING
    held.user_id AS subject, 'referrals ' || counted.referrals AS found, 'referrals ' || counted.edges AS done;

-- balances_are_entries(user_ids, units, correction, at) -> Change
-- Only accounts whose entries follow each other: their sum is the balance after the last one. An account of points
-- without an entry has no tier that a correction could repeat.
WITH chained AS (
    SELECT
        user_id, unit, seq, balance_before,
        lag(balance_after, 1, 0::bigint) OVER (PARTITION BY user_id, unit ORDER BY seq) AS came_before
    FROM tallystick.ledger_entries
    WHERE (user_id, unit) IN (SELECT * FROM unnest($1::text[], $2::text[]))
),

chains AS (
    SELECT
        user_id, unit, max(seq) AS last_seq,
        count(*) = max(seq) AND bool_and(balance_before = came_before) AS is_whole
    FROM chained
    GROUP BY user_id, unit
),

wrong AS (
    SELECT
        a.user_id, a.unit, a.balance, a.version,
        coalesce(l.balance_after, 0) AS entered, coalesce(l.seq, 0) AS seq,
        l.tier_after, l.lifetime_after, l.tier_progress,
        a.balance <> coalesce(l.balance_after, 0) AND (a.unit <> 'points' OR l.seq IS NOT NULL) AS is_corrected
    FROM tallystick.ledger_accounts AS a
    LEFT JOIN chains AS c ON c.user_id = a.user_id AND c.unit = a.unit
    LEFT JOIN tallystick.ledger_entries AS l ON l.user_id = c.user_id AND l.unit = c.unit AND l.seq = c.last_seq
    WHERE
        (a.user_id, a.unit) IN (SELECT * FROM unnest($1::text[], $2::text[])) AND coalesce(c.is_whole, TRUE)
        AND (a.balance <> coalesce(l.balance_after, 0) OR a.version <> coalesce(l.seq, 0))
),

corrected AS (
    INSERT INTO tallystick.ledger_entries (
        user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, reason,
        tier_before, tier_after, correlation_id, created_at, lifetime_after, tier_progress
    )
    SELECT
        user_id, unit, seq + 1, 0, entered, entered, 'correction', $3::text,
        'the balance was ' || balance || ', and the entries add up to ' || entered,
        tier_after, tier_after, $3::text, $4::timestamptz, lifetime_after, tier_progress
    FROM wrong
    WHERE is_corrected
)

UPDATE tallystick.ledger_accounts AS held
SET balance = wrong.entered, version = wrong.seq + wrong.is_corrected::int, updated_at = $4::timestamptz
FROM wrong
WHERE held.user_id = wrong.user_id AND held.unit = wrong.unit
RETURNING
    held.user_id || ' ' || held.unit AS subject,
    'balance ' || wrong.balance || ', version ' || wrong.version AS found,
    'balance ' || held.balance || ', version ' || held.version AS done;

-- lifetime_is_earned(user_ids) -> Change
WITH chained AS (
    SELECT
        user_id, seq, lifetime_after,
        sum(greatest(amount, 0)) OVER (PARTITION BY user_id ORDER BY seq) AS earned
    FROM tallystick.ledger_entries
    WHERE user_id = ANY($1::text[]) AND unit = 'points'
),

chains AS (
    SELECT user_id, max(earned)::bigint AS earned, bool_and(lifetime_after = earned) AS is_whole
    FROM chained
    GROUP BY user_id
)

UPDATE tallystick.ledger_accounts AS held
SET lifetime = counted.earned
FROM (
    SELECT a.user_id, a.lifetime, coalesce(c.earned, 0) AS earned
    FROM tallystick.ledger_accounts AS a
    LEFT JOIN chains AS c ON c.user_id = a.user_id
    WHERE a.user_id = ANY($1::text[]) AND a.unit = 'points' AND coalesce(c.is_whole, TRUE)
) AS counted
WHERE held.user_id = counted.user_id AND held.unit = 'points' AND counted.lifetime <> counted.earned
RETURNING
    held.user_id || ' points' AS subject,
    'lifetime ' || counted.lifetime AS found,
    'lifetime ' || held.lifetime AS done;

-- events_have_no_gaps(topic_ids) -> Change
UPDATE tallystick.topics AS held
SET head = counted.last_seq
FROM (
    SELECT was.topic_id, was.head, max(e.seq) AS last_seq
    FROM tallystick.topics AS was
    INNER JOIN tallystick.topic_events AS e ON e.topic_id = was.topic_id
    WHERE was.topic_id = ANY($1::text[])
    GROUP BY was.topic_id, was.head, was.trimmed
    HAVING
        max(e.seq) > was.head AND min(e.seq) = was.trimmed + 1 AND count(*) = max(e.seq) - was.trimmed
) AS counted
WHERE held.topic_id = counted.topic_id
RETURNING held.topic_id AS subject, 'head ' || counted.head AS found, 'head ' || held.head AS done;
