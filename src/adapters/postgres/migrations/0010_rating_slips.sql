-- Rating slips, and the points of slips and referrals that wait for being credited.

-- kind: before
-- locks: users SHARE ROW EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.rating_slips (
    slip_id text COLLATE "C" NOT NULL,
    player_id text COLLATE "C" NOT NULL,
    game text COLLATE "C" NOT NULL,
    average_bet bigint NOT NULL,
    decisions_per_hour bigint NOT NULL,
    house_edge_bp bigint NOT NULL,
    points_per_100 bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    points bigint,
    completed_at timestamptz,
    correlation_id text COLLATE "C",
    account_version bigint,
    CONSTRAINT rating_slips_pkey PRIMARY KEY (slip_id),
    CONSTRAINT rating_slips_player_fkey FOREIGN KEY (player_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT rating_slips_state_known CHECK (state IN ('open', 'closed', 'accrual_pending')),
    CONSTRAINT rating_slips_bet_positive CHECK (average_bet BETWEEN 1 AND 1000000000),
    CONSTRAINT rating_slips_game_positive CHECK (
        decisions_per_hour >= 1 AND house_edge_bp >= 1 AND points_per_100 >= 1
    ),
    CONSTRAINT rating_slips_times_ordered CHECK (closed_at >= opened_at),
    CONSTRAINT rating_slips_points_bounded CHECK (
        points BETWEEN 0 AND 9007199254740991 AND (points > 0 OR state <> 'accrual_pending')
    ),
    CONSTRAINT rating_slips_closed_as_a_whole CHECK (
        num_nulls(closed_at, points, completed_at, correlation_id, account_version)
        = CASE state WHEN 'open' THEN 5 ELSE 0 END
    )
);
CREATE INDEX rating_slips_of_state ON tallystick.rating_slips (state, slip_id DESC);

ALTER TABLE tallystick.rating_slips ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.rating_slips FORCE ROW LEVEL SECURITY;
CREATE POLICY rating_slips_service ON tallystick.rating_slips
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.rating_slips FROM public, anon, authenticated;
-- Neither whose it is nor what the game was rated by can ever be changed: the grant names the columns that can.
GRANT SELECT, INSERT, UPDATE (
    average_bet, state, closed_at, points, completed_at, correlation_id, account_version
) ON tallystick.rating_slips TO tallystick_app;

CREATE TABLE tallystick.pending_accruals (
    player_id text COLLATE "C" NOT NULL,
    event_type text COLLATE "C" NOT NULL,
    event_key text COLLATE "C" NOT NULL,
    points bigint NOT NULL,
    reason text,
    staff_id text COLLATE "C",
    correlation_id text COLLATE "C" NOT NULL,
    cause text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    tries bigint NOT NULL,
    last_tried_at timestamptz NOT NULL,
    CONSTRAINT pending_accruals_pkey PRIMARY KEY (player_id, event_type, event_key),
    CONSTRAINT pending_accruals_player_fkey FOREIGN KEY (player_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT pending_accruals_points_positive CHECK (points BETWEEN 1 AND 9007199254740991),
    CONSTRAINT pending_accruals_tries_count CHECK (tries >= 0)
);
CREATE INDEX pending_accruals_by_age ON tallystick.pending_accruals (created_at, player_id, event_type, event_key);
CREATE INDEX pending_accruals_by_try ON tallystick.pending_accruals (last_tried_at, player_id, event_type, event_key);

ALTER TABLE tallystick.pending_accruals ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.pending_accruals FORCE ROW LEVEL SECURITY;
CREATE POLICY pending_accruals_service ON tallystick.pending_accruals
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.pending_accruals FROM public, anon, authenticated;
-- What waits is no history yet: it goes away with the entry that takes its place. How much it is never changes.
GRANT SELECT, INSERT, DELETE, UPDATE (cause, tries, last_tried_at) ON tallystick.pending_accruals TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.pending_accruals;
DROP TABLE tallystick.rating_slips;
