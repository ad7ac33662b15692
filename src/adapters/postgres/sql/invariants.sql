-- one_code_each(after, up_to) -> str
SELECT u.user_id AS key
FROM tallystick.users AS u
WHERE u.user_id > $1::text AND ($2::text IS NULL OR u.user_id <= $2) AND u.deleted_at IS NULL AND EXISTS (
    SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = u.user_id AND (c.is_canonical OR NOT c.is_canonical)
) AND 1 <> (
    SELECT count(*) FROM tallystick.referral_codes AS c WHERE c.user_id = u.user_id AND c.is_canonical
);

-- living_codes_resolve(after, up_to) -> str
SELECT c.user_id AS key
FROM tallystick.referral_codes AS c
INNER JOIN tallystick.users AS u ON u.user_id = c.user_id
WHERE
    c.code > $1::text AND ($2::text IS NULL OR c.code <= $2)
    AND (c.retired_at IS NULL) <> (u.deleted_at IS NULL) AND (c.retired_at IS NOT NULL OR u.erasing_since IS NULL);

-- verified_users_exist(after, up_to) -> str
SELECT v.user_id AS key
FROM tallystick.phone_verifications AS v
LEFT JOIN tallystick.users AS u ON u.user_id = v.user_id
WHERE v.user_id > $1::text AND ($2::text IS NULL OR v.user_id <= $2) AND u.user_id IS NULL;

-- one_inviter_no_cycle(after, up_to) -> str
SELECT e.invitee_id AS key
FROM tallystick.referral_edges AS e
LEFT JOIN tallystick.referral_edges AS back ON back.invitee_id = e.inviter_id AND back.inviter_id = e.invitee_id
WHERE
    e.invitee_id > $1::text AND ($2::text IS NULL OR e.invitee_id <= $2)
    AND (e.invitee_id = e.inviter_id OR back.invitee_id IS NOT NULL);

-- referrals_are_edges(after, up_to) -> str
SELECT u.user_id AS key
FROM tallystick.users AS u
WHERE
    u.user_id > $1::text AND ($2::text IS NULL OR u.user_id <= $2)
    AND u.referrals <> (SELECT count(*) FROM tallystick.referral_edges AS e WHERE e.inviter_id = u.user_id);

-- seats_are_uses(after, up_to) -> str
SELECT i.invite_id AS key
FROM tallystick.invites AS i
WHERE
    i.invite_id > $1::text AND ($2::text IS NULL OR i.invite_id <= $2)
    AND (
        i.current_uses > i.max_uses
        OR i.current_uses <> (SELECT count(*) FROM tallystick.invite_uses AS u WHERE u.invite_id = i.invite_id)
    );

-- balances_are_entries(after, up_to) -> str
-- The balance equals the sum of the entries and the balance after the last one. Every entry starts with the balance
-- that the entry before it left.
SELECT a.user_id || ' ' || a.unit AS key
FROM tallystick.ledger_accounts AS a
LEFT JOIN (
    SELECT
        user_id, unit,
        sum(amount) AS total,
        count(*) AS entries,
        max(seq) AS last_seq,
        bool_or(balance_before <> came_before) AS is_broken
    FROM (
        SELECT
            user_id, unit, seq, amount, balance_before,
            lag(balance_after, 1, 0::bigint) OVER (PARTITION BY user_id, unit ORDER BY seq) AS came_before
        FROM tallystick.ledger_entries
        WHERE user_id > $1::text AND ($2::text IS NULL OR user_id <= $2)
    ) AS chained
    GROUP BY user_id, unit
) AS e ON e.user_id = a.user_id AND e.unit = a.unit
WHERE
    a.user_id > $1::text AND ($2::text IS NULL OR a.user_id <= $2)
    AND (
        a.balance < 0 OR a.balance <> coalesce(e.total, 0) OR a.version <> coalesce(e.last_seq, 0)
        OR coalesce(e.entries, 0) <> coalesce(e.last_seq, 0) OR coalesce(e.is_broken, false)
    );

-- lifetime_is_earned(after, up_to) -> str
SELECT a.user_id || ' ' || a.unit AS key
FROM tallystick.ledger_accounts AS a
LEFT JOIN (
    SELECT user_id, sum(credited) AS total, bool_or(lifetime_after <> come_to) AS is_broken
    FROM (
        SELECT
            user_id, lifetime_after, greatest(amount, 0) AS credited,
            sum(greatest(amount, 0)) OVER (PARTITION BY user_id ORDER BY seq) AS come_to
        FROM tallystick.ledger_entries
        WHERE unit = 'points' AND user_id > $1::text AND ($2::text IS NULL OR user_id <= $2)
    ) AS chained
    GROUP BY user_id
) AS e ON e.user_id = a.user_id
WHERE
    a.user_id > $1::text AND ($2::text IS NULL OR a.user_id <= $2)
    AND a.unit = 'points' AND (a.lifetime <> coalesce(e.total, 0) OR coalesce(e.is_broken, false));

-- events_count_once(after, up_to) -> str
SELECT twice.user_id || ' ' || twice.unit || ' ' || twice.event_type || ' ' || twice.event_key AS key
FROM (
    SELECT user_id, unit, event_type, event_key
    FROM tallystick.ledger_entries
    WHERE user_id > $1::text AND ($2::text IS NULL OR user_id <= $2)
    GROUP BY user_id, unit, event_type, event_key
    HAVING count(*) > 1
) AS twice;

-- slips_accrue_once(after, up_to) -> str
-- Every slip has the entry or the pending accrual that its state requires, and no entry or pending accrual names a slip
-- that does not exist. Slips are in the order of their ids, the others in the order of their players.
SELECT s.slip_id AS key
FROM tallystick.rating_slips AS s
LEFT JOIN tallystick.ledger_entries AS e
    ON e.user_id = s.player_id AND e.unit = 'points' AND e.event_type = 'rating_slip' AND e.event_key = s.slip_id
LEFT JOIN tallystick.pending_accruals AS p
    ON p.player_id = s.player_id AND p.event_type = 'rating_slip' AND p.event_key = s.slip_id
WHERE s.slip_id > $1::text AND ($2::text IS NULL OR s.slip_id <= $2) AND CASE s.state
    WHEN 'open' THEN e.user_id IS NOT NULL OR p.player_id IS NOT NULL
    WHEN 'closed' THEN
        coalesce(e.amount, 0) <> s.points OR (e.user_id IS NOT NULL AND s.points = 0) OR p.player_id IS NOT NULL
    ELSE e.user_id IS NOT NULL OR p.points IS DISTINCT FROM s.points
END
UNION ALL
SELECT e.event_key AS key
FROM tallystick.ledger_entries AS e
LEFT JOIN tallystick.rating_slips AS s ON s.slip_id = e.event_key AND s.player_id = e.user_id
WHERE
    e.user_id > $1::text AND ($2::text IS NULL OR e.user_id <= $2)
    AND e.unit = 'points' AND e.event_type = 'rating_slip' AND s.slip_id IS NULL
UNION ALL
SELECT p.event_key AS key
FROM tallystick.pending_accruals AS p
LEFT JOIN tallystick.rating_slips AS s ON s.slip_id = p.event_key AND s.player_id = p.player_id
WHERE
    p.player_id > $1::text AND ($2::text IS NULL OR p.player_id <= $2)
    AND p.event_type = 'rating_slip' AND s.slip_id IS NULL;

-- waiting_is_not_credited(after, up_to) -> str
SELECT p.player_id || ' ' || p.event_type || ' ' || p.event_key AS key
FROM tallystick.pending_accruals AS p
INNER JOIN tallystick.ledger_entries AS e
    ON
        e.user_id = p.player_id AND e.unit = 'points' AND e.event_type = p.event_type AND e.event_key = p.event_key
WHERE p.player_id > $1::text AND ($2::text IS NULL OR p.player_id <= $2);

-- collected_once_and_paid(after, up_to) -> str
-- Every collected reward has exactly one entry that paid for it, every purchase entry has its collected reward, and no
-- user bought their own reward.
SELECT coalesce(c.user_id || ' ' || c.reward_id, e.user_id || ' ' || e.event_key) AS key
FROM (SELECT * FROM tallystick.collected_rewards WHERE user_id > $1::text AND ($2::text IS NULL OR user_id <= $2)) AS c
FULL JOIN (
    SELECT user_id, event_key, amount, balance_after FROM tallystick.ledger_entries
    WHERE event_type = 'purchase' AND unit = 'credits' AND user_id > $1::text AND ($2::text IS NULL OR user_id <= $2)
) AS e ON e.user_id = c.user_id AND e.event_key = c.reward_id
LEFT JOIN tallystick.rewards AS r ON r.reward_id = c.reward_id
WHERE
    c.user_id IS NULL OR e.user_id IS NULL OR r.owner_id = c.user_id
    OR e.amount <> -c.cost OR e.balance_after <> c.balance_after;

-- events_have_no_gaps(after, up_to) -> str
-- Numbers are unique by key: where there are as many as the first and the last one say, none is missing.
SELECT t.topic_id AS key
FROM tallystick.topics AS t
LEFT JOIN (
    SELECT topic_id, count(*) AS events, min(seq) AS first_seq, max(seq) AS last_seq
    FROM tallystick.topic_events
    WHERE topic_id > $1::text AND ($2::text IS NULL OR topic_id <= $2)
    GROUP BY topic_id
) AS e ON e.topic_id = t.topic_id
WHERE
    t.topic_id > $1::text AND ($2::text IS NULL OR t.topic_id <= $2)
    AND (
        t.head - t.trimmed <> coalesce(e.events, 0) OR t.head <> coalesce(e.last_seq, t.trimmed)
        OR t.trimmed + 1 <> coalesce(e.first_seq, t.head + 1)
    );

-- messages_are_events(after, up_to) -> str
-- A message below the start of the log has no event any more. Its deletion has one, where it happened later than the
-- first event of the log. A deletion may have outlived its message only where the log was trimmed.
SELECT alone.key
FROM (
    SELECT coalesce(m.channel_id || ' ' || m.message_id, e.topic_id || ' ' || e.ref) AS key
    FROM (
        SELECT text.*
        FROM tallystick.messages AS text
        LEFT JOIN tallystick.topics AS t ON t.topic_id = text.channel_id
        WHERE
            text.channel_id > $1::text AND ($2::text IS NULL OR text.channel_id <= $2)
            AND text.seq > coalesce(t.trimmed, 0)
    ) AS m
    FULL JOIN (
        SELECT * FROM tallystick.topic_events
        WHERE kind = 'message' AND topic_id > $1::text AND ($2::text IS NULL OR topic_id <= $2)
    ) AS e
        ON e.topic_id = m.channel_id AND e.seq = m.seq AND e.ref = m.message_id AND e.actor_id = m.sender_id
    WHERE m.message_id IS NULL OR e.ref IS NULL
    UNION ALL
    SELECT coalesce(m.channel_id || ' ' || m.message_id, e.topic_id || ' ' || e.ref) AS key
    FROM (
        SELECT * FROM tallystick.messages
        WHERE deleted_at IS NOT NULL AND channel_id > $1::text AND ($2::text IS NULL OR channel_id <= $2)
    ) AS m
    FULL JOIN (
        SELECT * FROM tallystick.topic_events
        WHERE kind = 'message_deleted' AND topic_id > $1::text AND ($2::text IS NULL OR topic_id <= $2)
    ) AS e
        ON e.topic_id = m.channel_id AND e.ref = m.message_id
    LEFT JOIN tallystick.topics AS t ON t.topic_id = coalesce(m.channel_id, e.topic_id)
    LEFT JOIN tallystick.topic_events AS first ON first.topic_id = t.topic_id AND first.seq = t.trimmed + 1
    WHERE
        (m.message_id IS NULL AND coalesce(t.trimmed, 0) = 0)
        OR (e.ref IS NULL AND (coalesce(t.trimmed, 0) = 0 OR m.deleted_at > first.created_at))
) AS alone;

-- senders_were_members(after, up_to) -> str
-- The last event before the message that added or removed its sender added them. Where the log was trimmed and has no
-- such event, the row of the member says when they were added last, and whether they were removed since.
-- One sorted pass: a search of the log for each message would read a long channel again and again.
WITH sent AS (
    SELECT
        channel_id, sender_id, seq, is_message,
        max(seq) FILTER (WHERE NOT is_message) OVER (PARTITION BY channel_id, sender_id ORDER BY seq) AS changed_seq
    FROM (
        SELECT channel_id, sender_id, seq, TRUE AS is_message FROM tallystick.messages
        WHERE channel_id > $1::text AND ($2::text IS NULL OR channel_id <= $2)
        UNION ALL
        SELECT topic_id, ref, seq, FALSE FROM tallystick.topic_events
        WHERE
            kind IN ('member_added', 'member_removed')
            AND topic_id > $1::text AND ($2::text IS NULL OR topic_id <= $2)
    ) AS placed
)

SELECT m.channel_id || ' ' || m.seq AS key
FROM sent AS m
LEFT JOIN tallystick.topic_events AS change ON change.topic_id = m.channel_id AND change.seq = m.changed_seq
LEFT JOIN tallystick.topics AS t ON t.topic_id = m.channel_id
LEFT JOIN tallystick.channel_members AS sender ON sender.channel_id = m.channel_id AND sender.user_id = m.sender_id
WHERE m.is_message AND 'member_added' IS DISTINCT FROM coalesce(change.kind, CASE
    WHEN sender.joined_seq > m.seq AND t.trimmed > 0 THEN 'member_added'
    WHEN sender.joined_seq <= t.trimmed AND coalesce(sender.left_seq > m.seq, TRUE) THEN 'member_added'
END);

-- rosters_keep_their_rules(after, up_to) -> str
SELECT r.room_id AS key
FROM tallystick.stage_rosters AS r
WHERE r.room_id > $1::text AND ($2::text IS NULL OR r.room_id <= $2) AND (
    EXISTS (
        SELECT FROM tallystick.roster_slots AS s
        WHERE s.room_id = r.room_id AND s.slot > coalesce((r.roles ->> s.role)::bigint, 0)
    ) OR EXISTS (
        SELECT FROM tallystick.roster_slots AS s
        WHERE s.room_id = r.room_id
        HAVING count(*) > count(DISTINCT s.player_id) OR count(*) > count(DISTINCT (s.role, s.slot))
    )
);

-- overlays_end_once(after, up_to) -> str
-- A version is begun before it ends: where the log still has the beginning, it has the end too. All overlays share one
-- topic.
WITH ends AS (
    SELECT ref, count(*) AS times
    FROM tallystick.topic_events
    WHERE
        topic_id = 'overlays' AND topic_id > $1::text AND ($2::text IS NULL OR topic_id <= $2)
        AND kind IN ('overlay_updated', 'overlay_expired', 'overlay_removed')
    GROUP BY ref
),

begun AS (
    SELECT payload::jsonb ->> 'session_id' AS session_id, (payload::jsonb ->> 'version')::bigint AS version
    FROM tallystick.topic_events
    WHERE
        topic_id = 'overlays' AND topic_id > $1::text AND ($2::text IS NULL OR topic_id <= $2)
        AND kind IN ('overlay_shown', 'overlay_updated')
)

SELECT ends.ref AS key
FROM ends
WHERE ends.times > 1
UNION ALL
SELECT b.session_id || '#' || b.version AS key
FROM begun AS b
LEFT JOIN tallystick.session_overlays AS o ON o.session_id = b.session_id
LEFT JOIN ends AS e ON e.ref = b.session_id || '#' || b.version
WHERE
    o.session_id IS NULL OR b.version > o.version
    OR (b.version < o.version OR o.expires_at IS NULL) <> (e.ref IS NOT NULL);
