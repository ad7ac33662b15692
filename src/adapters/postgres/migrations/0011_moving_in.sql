-- Moving in: what users had elsewhere, as it was planned, and how far it has come.

-- kind: before
-- locks: phone_verifications ACCESS EXCLUSIVE, referral_codes ACCESS EXCLUSIVE, referral_edges ACCESS EXCLUSIVE, users ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.backfill_runs (
    run bigint NOT NULL,
    plan_hash text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    source_hash text COLLATE "C" NOT NULL,
    plan text NOT NULL,
    verification text,
    planned_at timestamptz NOT NULL,
    started_at timestamptz,
    finished_at timestamptz,
    CONSTRAINT backfill_runs_pkey PRIMARY KEY (run),
    CONSTRAINT backfill_runs_plan_hash_key UNIQUE (plan_hash),
    CONSTRAINT backfill_runs_state_known CHECK (
        state IN ('planned', 'applying', 'applied', 'rolling_back', 'rolled_back')
    )
);

ALTER TABLE tallystick.backfill_runs ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.backfill_runs FORCE ROW LEVEL SECURITY;
CREATE POLICY backfill_runs_service ON tallystick.backfill_runs FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.backfill_runs FROM public, anon, authenticated;
-- A plan is never changed: only what became of it is.
GRANT SELECT, INSERT, UPDATE (state, verification, started_at, finished_at) ON tallystick.backfill_runs TO tallystick_app;

-- A row for each chunk that was committed, stored by the transaction that wrote the chunk.
CREATE TABLE tallystick.backfill_chunks (
    run bigint NOT NULL,
    phase text COLLATE "C" NOT NULL,
    chunk bigint NOT NULL,
    tally text NOT NULL,
    done_at timestamptz NOT NULL,
    CONSTRAINT backfill_chunks_pkey PRIMARY KEY (run, phase, chunk),
    CONSTRAINT backfill_chunks_run_fkey FOREIGN KEY (run) REFERENCES tallystick.backfill_runs (run),
    CONSTRAINT backfill_chunks_phase_known CHECK (phase IN ('codes', 'edges', 'points', 'rollback'))
);

ALTER TABLE tallystick.backfill_chunks ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.backfill_chunks FORCE ROW LEVEL SECURITY;
CREATE POLICY backfill_chunks_service ON tallystick.backfill_chunks
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.backfill_chunks FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.backfill_chunks TO tallystick_app;

CREATE TABLE tallystick.legacy_users (
    run bigint NOT NULL,
    position bigint NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    created_at timestamptz,
    email text,
    email_key text COLLATE "C",
    username text COLLATE "C",
    display_name text,
    phone text,
    phone_verified boolean NOT NULL,
    inviter_id text COLLATE "C",
    inviter_code text COLLATE "C",
    points bigint,
    CONSTRAINT legacy_users_pkey PRIMARY KEY (run, position),
    CONSTRAINT legacy_users_run_fkey FOREIGN KEY (run) REFERENCES tallystick.backfill_runs (run),
    CONSTRAINT legacy_users_points_bounded CHECK (points BETWEEN 1 AND 9007199254740991)
);
CREATE UNIQUE INDEX legacy_users_once ON tallystick.legacy_users (user_id, run);

ALTER TABLE tallystick.legacy_users ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.legacy_users FORCE ROW LEVEL SECURITY;
CREATE POLICY legacy_users_service ON tallystick.legacy_users FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.legacy_users FROM public, anon, authenticated;
-- Of a user who was deleted nothing is kept that names a person.
GRANT SELECT, INSERT, UPDATE (email, email_key, username, display_name, phone) ON tallystick.legacy_users TO tallystick_app;

-- Who claimed which code there. The one who keeps it has nobody in kept_by.
CREATE TABLE tallystick.legacy_codes (
    run bigint NOT NULL,
    position bigint NOT NULL,
    code text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    is_canonical boolean NOT NULL,
    created_at timestamptz,
    kept_by text COLLATE "C",
    CONSTRAINT legacy_codes_pkey PRIMARY KEY (run, position, code),
    CONSTRAINT legacy_codes_run_fkey FOREIGN KEY (run) REFERENCES tallystick.backfill_runs (run),
    CONSTRAINT legacy_codes_normal_form CHECK (code !~ '[^0-9A-Z]' AND length(code) BETWEEN 4 AND 32)
);
CREATE UNIQUE INDEX legacy_codes_one_keeper ON tallystick.legacy_codes (code, run) WHERE kept_by IS NULL;

ALTER TABLE tallystick.legacy_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.legacy_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY legacy_codes_service ON tallystick.legacy_codes FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.legacy_codes FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.legacy_codes TO tallystick_app;

CREATE TABLE tallystick.backfill_malformed (
    run bigint NOT NULL,
    line bigint NOT NULL,
    reason text NOT NULL,
    CONSTRAINT backfill_malformed_pkey PRIMARY KEY (run, line),
    CONSTRAINT backfill_malformed_run_fkey FOREIGN KEY (run) REFERENCES tallystick.backfill_runs (run)
);

ALTER TABLE tallystick.backfill_malformed ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.backfill_malformed FORCE ROW LEVEL SECURITY;
CREATE POLICY backfill_malformed_service ON tallystick.backfill_malformed
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.backfill_malformed FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.backfill_malformed TO tallystick_app;

-- Who lost a code to whom: it means one user, and the other one's links with it lead to that user.
CREATE TABLE tallystick.code_conflicts (
    code text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    kept_by text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    run bigint NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT code_conflicts_pkey PRIMARY KEY (code, user_id),
    CONSTRAINT code_conflicts_run_fkey FOREIGN KEY (run) REFERENCES tallystick.backfill_runs (run),
    CONSTRAINT code_conflicts_reason_known CHECK (reason IN ('duplicate', 'held'))
);
CREATE INDEX code_conflicts_of_run ON tallystick.code_conflicts (run);

ALTER TABLE tallystick.code_conflicts ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.code_conflicts FORCE ROW LEVEL SECURITY;
CREATE POLICY code_conflicts_service ON tallystick.code_conflicts
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.code_conflicts FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.code_conflicts TO tallystick_app;

-- Codes that somebody followed a link with: a rollback lets them resolve.
CREATE TABLE tallystick.clicked_codes (
    code text COLLATE "C" NOT NULL,
    clicked_at timestamptz NOT NULL,
    CONSTRAINT clicked_codes_pkey PRIMARY KEY (code)
);

ALTER TABLE tallystick.clicked_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.clicked_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY clicked_codes_service ON tallystick.clicked_codes FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.clicked_codes FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.clicked_codes TO tallystick_app;

-- What readers of the legacy field should see by now: best effort, mended every night.
CREATE TABLE tallystick.metadata_mirror (
    user_id text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    mirrored_at timestamptz NOT NULL,
    CONSTRAINT metadata_mirror_pkey PRIMARY KEY (user_id),
    CONSTRAINT metadata_mirror_user_fkey FOREIGN KEY (user_id) REFERENCES tallystick.users (user_id)
);

ALTER TABLE tallystick.metadata_mirror ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.metadata_mirror FORCE ROW LEVEL SECURITY;
CREATE POLICY metadata_mirror_service ON tallystick.metadata_mirror
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.metadata_mirror FROM public, anon, authenticated;
GRANT SELECT, INSERT, DELETE, UPDATE (code, mirrored_at) ON tallystick.metadata_mirror TO tallystick_app;

-- What is done once a night, by one instance of all.
CREATE TABLE tallystick.schedules (
    name text COLLATE "C" NOT NULL,
    leased_until timestamptz NOT NULL,
    last_done_at timestamptz,
    CONSTRAINT schedules_pkey PRIMARY KEY (name)
);

ALTER TABLE tallystick.schedules ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.schedules FORCE ROW LEVEL SECURITY;
CREATE POLICY schedules_service ON tallystick.schedules FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.schedules FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (leased_until, last_done_at) ON tallystick.schedules TO tallystick_app;

-- Which run wrote a row; nothing where traffic did. It is never changed.
ALTER TABLE tallystick.users ADD COLUMN backfill_run bigint;
ALTER TABLE tallystick.referral_codes ADD COLUMN backfill_run bigint;
ALTER TABLE tallystick.referral_edges ADD COLUMN backfill_run bigint;
ALTER TABLE tallystick.phone_verifications DROP CONSTRAINT phone_verifications_source_known;
ALTER TABLE tallystick.phone_verifications ADD CONSTRAINT phone_verifications_source_known CHECK (
    source IN ('token', 'webhook', 'backfill')
) NOT VALID;
-- A bounded repetition in a pattern cost each new user more than all the rest, and each new code as well.
ALTER TABLE tallystick.users DROP CONSTRAINT users_user_id_form;
ALTER TABLE tallystick.users ADD CONSTRAINT users_user_id_form CHECK (
    user_id !~ '[^A-Za-z0-9_.:|@-]' AND length(user_id) BETWEEN 1 AND 128
) NOT VALID;
ALTER TABLE tallystick.referral_codes DROP CONSTRAINT referral_codes_normal_form;
ALTER TABLE tallystick.referral_codes ADD CONSTRAINT referral_codes_normal_form CHECK (
    code !~ '[^0-9A-Z]' AND length(code) BETWEEN 4 AND 32
) NOT VALID;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

ALTER TABLE tallystick.referral_codes DROP CONSTRAINT referral_codes_normal_form;
ALTER TABLE tallystick.referral_codes ADD CONSTRAINT referral_codes_normal_form CHECK (
    code ~ '^[0-9A-Z]{4,32}$'
) NOT VALID;
ALTER TABLE tallystick.users DROP CONSTRAINT users_user_id_form;
ALTER TABLE tallystick.users ADD CONSTRAINT users_user_id_form CHECK (
    user_id ~ '^[A-Za-z0-9_.:|@-]{1,128}$'
) NOT VALID;
ALTER TABLE tallystick.phone_verifications DROP CONSTRAINT phone_verifications_source_known;
ALTER TABLE tallystick.phone_verifications ADD CONSTRAINT phone_verifications_source_known CHECK (
    source IN ('token', 'webhook')
) NOT VALID;
ALTER TABLE tallystick.referral_edges DROP COLUMN backfill_run;
ALTER TABLE tallystick.referral_codes DROP COLUMN backfill_run;
ALTER TABLE tallystick.users DROP COLUMN backfill_run;
DROP TABLE tallystick.schedules;
DROP TABLE tallystick.metadata_mirror;
DROP TABLE tallystick.clicked_codes;
DROP TABLE tallystick.code_conflicts;
DROP TABLE tallystick.backfill_malformed;
DROP TABLE tallystick.legacy_codes;
DROP TABLE tallystick.legacy_users;
DROP TABLE tallystick.backfill_chunks;
DROP TABLE tallystick.backfill_runs;
