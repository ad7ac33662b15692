-- without_code(before, limit) -> (user_id, total)
-- The newest first: an incident concerns users who came lately.
SELECT u.user_id, count(*) OVER () AS total
FROM tallystick.users AS u
WHERE
    u.deleted_at IS NULL AND u.created_at < $1::timestamptz
    AND NOT EXISTS (SELECT FROM tallystick.referral_codes AS c WHERE c.user_id = u.user_id AND c.is_canonical)
ORDER BY u.created_at DESC, u.user_id
LIMIT $2::bigint;

-- guessing(since, least, limit) -> (user_id, attempts)
SELECT user_id, count(*) AS attempts
FROM tallystick.attribution_attempts
WHERE attempted_at >= $1::timestamptz AND reason = 'not_found'
GROUP BY user_id
HAVING count(*) >= $2::bigint
ORDER BY count(*) DESC, user_id
LIMIT $3::bigint;

-- stuck_erasures(before, limit) -> (user_id, erasing_since)
SELECT user_id, erasing_since
FROM tallystick.users
WHERE erasing_since < $1::timestamptz
ORDER BY erasing_since, user_id
LIMIT $2::bigint;

-- waiting_points(causes, limit) -> (player_id, event_type, event_key, cause)
SELECT player_id, event_type, event_key, cause
FROM tallystick.pending_accruals
WHERE cause <> ALL($1::text[])
ORDER BY created_at, player_id, event_type, event_key
LIMIT $2::bigint;

-- negative_accounts(limit) -> (user_id, unit, balance)
SELECT user_id, unit, balance
FROM tallystick.ledger_accounts
WHERE balance < 0
ORDER BY user_id, unit
LIMIT $1::bigint;

-- leases_ahead(latest) -> (name, leased_until)
SELECT name, greatest(leased_until, last_done_at) AS leased_until
FROM tallystick.schedules
WHERE greatest(leased_until, last_done_at) > $1::timestamptz
ORDER BY name;

-- blockers() -> (pid, waiting, since)
-- Sessions that hold others up and wait for nobody, with the number of those that wait, and since when the first does.
SELECT blocker.pid, count(DISTINCT waiter.pid) AS waiting, min(waiter.waitstart) AS since
FROM pg_catalog.pg_locks AS waiter
CROSS JOIN LATERAL unnest(pg_blocking_pids(waiter.pid)) AS blocker (pid)
WHERE
    NOT waiter.granted AND cardinality(pg_blocking_pids(blocker.pid)) = 0
    AND waiter.pid IN (SELECT pid FROM pg_catalog.pg_stat_activity WHERE datname = current_database())
GROUP BY blocker.pid
ORDER BY blocker.pid;

-- terminate(pid) -> bool
SELECT pg_terminate_backend($1::int) AS ended;

-- idle_slots() -> (slot_name, retained)
SELECT slot_name::text AS slot_name, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)::bigint AS retained
FROM pg_catalog.pg_replication_slots
WHERE NOT active AND restart_lsn IS NOT NULL
ORDER BY slot_name;

-- shared_policies() -> (table_name, name)
-- Policies that apply to other roles than the service, too.
SELECT tablename::text AS table_name, policyname::text AS name
FROM pg_catalog.pg_policies
WHERE schemaname = 'tallystick' AND roles <> ARRAY['tallystick_app'::name];
