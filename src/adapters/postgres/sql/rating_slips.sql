-- add(slip_ids, player_ids, games, average_bets, decisions, edges, rates, opened_ats) -> nothing
INSERT INTO tallystick.rating_slips (
    slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, state, opened_at
)
SELECT
    new.slip_id, new.player_id, new.game, new.average_bet, new.decisions_per_hour, new.house_edge_bp,
    new.points_per_100, 'open', new.opened_at
FROM unnest(
    $1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::bigint[], $7::bigint[], $8::timestamptz[]
) AS new (slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, opened_at)
ORDER BY new.slip_id
ON CONFLICT (slip_id) DO NOTHING;

-- find(slip_ids) -> Slip
SELECT
    slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, state, opened_at,
    closed_at, points, completed_at, correlation_id, account_version
FROM tallystick.rating_slips
WHERE slip_id = ANY($1::text[]);

-- lock(slip_ids) -> Slip
-- In id order, after the accounts: two batches queue instead of deadlocking.
SELECT
    slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, state, opened_at,
    closed_at, points, completed_at, correlation_id, account_version
FROM tallystick.rating_slips
WHERE slip_id = ANY($1::text[])
ORDER BY slip_id
FOR NO KEY UPDATE;

-- store(slip_ids, average_bets, states, closed_ats, points, completed_ats, correlation_ids, account_versions) -> nothing
UPDATE tallystick.rating_slips AS held
SET
    average_bet = new.average_bet,
    state = new.state,
    closed_at = new.closed_at,
    points = new.points,
    completed_at = new.completed_at,
    correlation_id = new.correlation_id,
    account_version = new.account_version
FROM unnest(
    $1::text[], $2::bigint[], $3::text[], $4::timestamptz[], $5::bigint[], $6::timestamptz[], $7::text[], $8::bigint[]
) AS new (slip_id, average_bet, state, closed_at, points, completed_at, correlation_id, account_version)
WHERE held.slip_id = new.slip_id;

-- page(slip_id, limit) -> Slip
SELECT
    slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, state, opened_at,
    closed_at, points, completed_at, correlation_id, account_version
FROM tallystick.rating_slips
WHERE slip_id < $1::text
ORDER BY slip_id DESC
LIMIT $2::bigint;

-- page_of_state(state, slip_id, limit) -> Slip
SELECT
    slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, state, opened_at,
    closed_at, points, completed_at, correlation_id, account_version
FROM tallystick.rating_slips
WHERE state = $1::text AND slip_id < $2::text
ORDER BY slip_id DESC
LIMIT $3::bigint;
