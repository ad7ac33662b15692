-- The code book and the edges: a code is one user's for ever, an invitee has one inviter for ever.

-- kind: before
-- locks: users SHARE ROW EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.referral_codes (
    code text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    is_canonical boolean NOT NULL,
    created_at timestamptz NOT NULL,
    demoted_at timestamptz,
    retired_at timestamptz,
    CONSTRAINT referral_codes_pkey PRIMARY KEY (code),
    CONSTRAINT referral_codes_user_fkey FOREIGN KEY (user_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT referral_codes_normal_form CHECK (code ~ '^[0-9A-Z]{4,32}$'),
    CONSTRAINT referral_codes_alias_was_demoted CHECK (is_canonical = (demoted_at IS NULL))
);
CREATE UNIQUE INDEX referral_codes_one_canonical ON tallystick.referral_codes (user_id) WHERE is_canonical;
CREATE INDEX referral_codes_of_user ON tallystick.referral_codes (user_id);

ALTER TABLE tallystick.referral_codes ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.referral_codes FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_codes_service ON tallystick.referral_codes
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.referral_codes FROM public, anon, authenticated;
-- Neither the code nor its user can ever be changed: the grant names the columns that can.
GRANT SELECT, INSERT, UPDATE (is_canonical, demoted_at, retired_at) ON tallystick.referral_codes TO tallystick_app;

CREATE TABLE tallystick.referral_edges (
    invitee_id text COLLATE "C" NOT NULL,
    inviter_id text COLLATE "C" NOT NULL,
    code text COLLATE "C",
    arrival_id uuid NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT referral_edges_pkey PRIMARY KEY (invitee_id),
    CONSTRAINT referral_edges_invitee_fkey FOREIGN KEY (invitee_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT referral_edges_inviter_fkey FOREIGN KEY (inviter_id) REFERENCES tallystick.users (user_id),
    CONSTRAINT referral_edges_code_fkey FOREIGN KEY (code) REFERENCES tallystick.referral_codes (code),
    CONSTRAINT referral_edges_never_self CHECK (invitee_id <> inviter_id)
);
-- Two users have at most one edge between them, whichever way it points: no cycle of two.
CREATE UNIQUE INDEX referral_edges_no_cycle ON tallystick.referral_edges (
    least(invitee_id, inviter_id), greatest(invitee_id, inviter_id)
);
CREATE INDEX referral_edges_of_inviter ON tallystick.referral_edges (inviter_id);

ALTER TABLE tallystick.referral_edges ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.referral_edges FORCE ROW LEVEL SECURITY;
CREATE POLICY referral_edges_service ON tallystick.referral_edges
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.referral_edges FROM public, anon, authenticated;
GRANT SELECT, INSERT ON tallystick.referral_edges TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.referral_edges;
DROP TABLE tallystick.referral_codes;
