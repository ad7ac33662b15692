-- Referral codes that came with a sign-up and attributed nothing: so that support can say why.

-- kind: before
-- locks: users SHARE ROW EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.attribution_attempts (
    user_id text COLLATE "C" NOT NULL,
    code_digest text COLLATE "C" NOT NULL,
    reason text COLLATE "C" NOT NULL,
    attempted_at timestamptz NOT NULL,
    CONSTRAINT attribution_attempts_pkey PRIMARY KEY (user_id, code_digest, reason),
    CONSTRAINT attribution_attempts_user_fkey FOREIGN KEY (user_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT attribution_attempts_reason_known CHECK (reason IN ('not_found', 'self', 'cycle', 'kept'))
);

ALTER TABLE tallystick.attribution_attempts ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.attribution_attempts FORCE ROW LEVEL SECURITY;
CREATE POLICY attribution_attempts_service ON tallystick.attribution_attempts
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.attribution_attempts FROM public, anon, authenticated;
-- Only the last ones of a user are kept, and all of them go with the user.
GRANT SELECT, INSERT, DELETE, UPDATE (attempted_at) ON tallystick.attribution_attempts TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.attribution_attempts;
