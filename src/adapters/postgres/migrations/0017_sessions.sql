-- Sessions: who is signed in, and until when. A session without a row has ended, on every instance.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.sessions (
    user_id text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    created_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    CONSTRAINT sessions_pkey PRIMARY KEY (user_id, session_id),
    CONSTRAINT sessions_times_ordered CHECK (created_at < expires_at)
);

CREATE INDEX sessions_by_expiry ON tallystick.sessions (expires_at);

ALTER TABLE tallystick.sessions ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.sessions FORCE ROW LEVEL SECURITY;
CREATE POLICY sessions_service ON tallystick.sessions FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.sessions FROM public, anon, authenticated;
GRANT SELECT, INSERT, DELETE ON tallystick.sessions TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.sessions;
