-- find(plan_hash) -> (run, plan_hash, state, plan, planned_at, started_at, finished_at)
SELECT run, plan_hash, state, plan, planned_at, started_at, finished_at
FROM tallystick.backfill_runs
WHERE starts_with(plan_hash, $1::text)
LIMIT 2;

-- rolled_back() -> int
SELECT count(*)
FROM tallystick.backfill_runs
WHERE state = 'rolled_back';

-- later(run) -> (run, plan_hash, state, plan, planned_at, started_at, finished_at)
SELECT r.run, r.plan_hash, r.state, r.plan, r.planned_at, r.started_at, r.finished_at
FROM tallystick.backfill_runs AS r
WHERE
    r.run > $1::bigint AND r.state IN ('applying', 'applied', 'rolling_back')
    AND EXISTS (
        SELECT FROM tallystick.legacy_users AS theirs
        INNER JOIN tallystick.legacy_users AS ours ON ours.user_id = theirs.user_id AND ours.run = $1::bigint
        WHERE theirs.run = r.run
    )
ORDER BY r.run DESC
LIMIT 1;

-- all() -> (run, plan_hash, state, plan, planned_at, started_at, finished_at)
SELECT run, plan_hash, state, plan, planned_at, started_at, finished_at
FROM tallystick.backfill_runs
ORDER BY run DESC
LIMIT 1000;

-- unfinished() -> (run, plan_hash, state, plan, planned_at, started_at, finished_at)
SELECT run, plan_hash, state, plan, planned_at, started_at, finished_at
FROM tallystick.backfill_runs
WHERE state IN ('applying', 'rolling_back')
ORDER BY run
LIMIT 1;

-- lock_state(run) -> RunState
-- Held to the end of the chunk: a change of the state waits for the chunks that are being written.
SELECT state
FROM tallystick.backfill_runs
WHERE run = $1::bigint
FOR SHARE;

-- change_state(run, state, at) -> nothing
UPDATE tallystick.backfill_runs
SET
    state = $2::text,
    started_at = coalesce(started_at, $3::timestamptz),
    finished_at = CASE WHEN $2::text IN ('applied', 'rolled_back') THEN $3::timestamptz END
WHERE run = $1::bigint;

-- chunks(run, phase) -> (chunk, tally)
SELECT chunk, tally
FROM tallystick.backfill_chunks
WHERE run = $1::bigint AND phase = $2::text
ORDER BY chunk;

-- commit(run, phase, chunk, tally, at) -> nothing
INSERT INTO tallystick.backfill_chunks (run, phase, chunk, tally, done_at)
VALUES ($1, $2, $3, $4, $5);

-- verified(run, report) -> nothing
UPDATE tallystick.backfill_runs
SET verification = $2::text
WHERE run = $1::bigint;

-- unused() -> int
SELECT run
FROM tallystick.backfill_runs
WHERE state = 'planned'
FOR UPDATE;

-- drop_users(runs) -> nothing
DELETE FROM tallystick.legacy_users
WHERE run = ANY($1::bigint[]);

-- drop_codes(runs) -> nothing
DELETE FROM tallystick.legacy_codes
WHERE run = ANY($1::bigint[]);

-- drop_malformed(runs) -> nothing
DELETE FROM tallystick.backfill_malformed
WHERE run = ANY($1::bigint[]);

-- drop_runs(runs) -> nothing
DELETE FROM tallystick.backfill_runs
WHERE run = ANY($1::bigint[]);

-- malformed(run, limit) -> (line, reason)
SELECT line, reason
FROM tallystick.backfill_malformed
WHERE run = $1::bigint
ORDER BY line
LIMIT $2::bigint;

-- faults(run) -> LineFaults
SELECT reason, count(*) AS lines, (array_agg(line ORDER BY line))[1:5] AS first_lines
FROM tallystick.backfill_malformed
WHERE run = $1::bigint
GROUP BY reason
ORDER BY count(*) DESC, min(line);
