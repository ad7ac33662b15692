-- Users are never removed: deletion empties what names a person and keeps id, times and history.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.users (
    user_id text COLLATE "C" NOT NULL,
    email text,
    email_key text COLLATE "C",
    username text COLLATE "C",
    display_name text,
    phone text,
    profile_at timestamptz,
    referrals bigint NOT NULL DEFAULT 0,
    created_at timestamptz NOT NULL,
    deleted_at timestamptz,
    CONSTRAINT users_pkey PRIMARY KEY (user_id),
    CONSTRAINT users_user_id_form CHECK (user_id ~ '^[A-Za-z0-9_.:|@-]{1,128}$'),
    CONSTRAINT users_email_has_key CHECK ((email IS NULL) = (email_key IS NULL)),
    CONSTRAINT users_referrals_not_negative CHECK (referrals >= 0),
    CONSTRAINT users_deleted_are_nobody CHECK (
        deleted_at IS NULL
        OR (email IS NULL AND username IS NULL AND display_name IS NULL AND phone IS NULL)
    )
);
CREATE UNIQUE INDEX users_email_key ON tallystick.users (email_key) WHERE email_key IS NOT NULL;
CREATE UNIQUE INDEX users_username_key ON tallystick.users (username) WHERE username IS NOT NULL;
CREATE INDEX users_leaders ON tallystick.users (referrals DESC, user_id) WHERE deleted_at IS NULL;

ALTER TABLE tallystick.users ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.users FORCE ROW LEVEL SECURITY;
CREATE POLICY users_service ON tallystick.users FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.users FROM public, anon, authenticated;
-- Neither the id nor when a user came can ever be changed: the grant names the columns that can.
GRANT SELECT, INSERT, UPDATE (
    email, email_key, username, display_name, phone, profile_at, referrals, deleted_at
) ON tallystick.users TO tallystick_app;

-- A verified phone is a row that is inserted once, not a flag that could be unset.
CREATE TABLE tallystick.phone_verifications (
    user_id text COLLATE "C" NOT NULL,
    source text NOT NULL,
    verified_at timestamptz NOT NULL,
    CONSTRAINT phone_verifications_pkey PRIMARY KEY (user_id),
    CONSTRAINT phone_verifications_user_fkey FOREIGN KEY (user_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT phone_verifications_source_known CHECK (source IN ('token', 'webhook'))
);
ALTER TABLE tallystick.phone_verifications ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.phone_verifications FORCE ROW LEVEL SECURITY;
CREATE POLICY phone_verifications_service ON tallystick.phone_verifications
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.phone_verifications FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.phone_verifications TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.phone_verifications;
DROP TABLE tallystick.users;
