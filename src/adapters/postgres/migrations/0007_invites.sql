-- Invites with their seats, and what users sign in with.

-- kind: before
-- locks: users SHARE ROW EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.invites (
    code text COLLATE "C" NOT NULL,
    invite_id text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    max_uses bigint NOT NULL,
    current_uses bigint NOT NULL DEFAULT 0,
    expires_at timestamptz,
    revoked_at timestamptz,
    created_at timestamptz NOT NULL,
    CONSTRAINT invites_pkey PRIMARY KEY (code),
    CONSTRAINT invites_invite_id_key UNIQUE (invite_id),
    CONSTRAINT invites_normal_form CHECK (code ~ '^[0-9A-Z]{4,32}$'),
    CONSTRAINT invites_capacity CHECK (max_uses BETWEEN 1 AND 1000000000),
    CONSTRAINT invites_never_oversold CHECK (current_uses BETWEEN 0 AND max_uses)
) WITH (fillfactor = 80);

ALTER TABLE tallystick.invites ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.invites FORCE ROW LEVEL SECURITY;
CREATE POLICY invites_service ON tallystick.invites FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.invites FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (current_uses, revoked_at) ON tallystick.invites TO tallystick_app;

CREATE TABLE tallystick.invite_uses (
    invite_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    attempt_id text COLLATE "C" NOT NULL,
    used_at timestamptz NOT NULL,
    CONSTRAINT invite_uses_pkey PRIMARY KEY (invite_id, user_id),
    CONSTRAINT invite_uses_invite_fkey FOREIGN KEY (invite_id) REFERENCES tallystick.invites (invite_id)
);
CREATE INDEX invite_uses_by_time ON tallystick.invite_uses (invite_id, used_at, user_id);

ALTER TABLE tallystick.invite_uses ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.invite_uses FORCE ROW LEVEL SECURITY;
CREATE POLICY invite_uses_service ON tallystick.invite_uses FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.invite_uses FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.invite_uses TO tallystick_app;

-- Everybody who signed up has a row; the hash is missing where an identity provider signs them in.
CREATE TABLE tallystick.credentials (
    user_id text COLLATE "C" NOT NULL,
    password_hash text COLLATE "C",
    created_at timestamptz NOT NULL,
    CONSTRAINT credentials_pkey PRIMARY KEY (user_id),
    CONSTRAINT credentials_user_fkey FOREIGN KEY (user_id) REFERENCES tallystick.users (user_id)
);

ALTER TABLE tallystick.credentials ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.credentials FORCE ROW LEVEL SECURITY;
CREATE POLICY credentials_service ON tallystick.credentials FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.credentials FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (password_hash) ON tallystick.credentials TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.credentials;
DROP TABLE tallystick.invite_uses;
DROP TABLE tallystick.invites;
