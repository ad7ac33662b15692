-- Flags: what was ever switched, by whom and when; a flag without a row stands at its default.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.flags (
    name text COLLATE "C" NOT NULL,
    enabled boolean NOT NULL,
    updated_at timestamptz NOT NULL,
    updated_by text COLLATE "C" NOT NULL,
    CONSTRAINT flags_pkey PRIMARY KEY (name),
    -- GET /api/referral never writes, whoever would like it to.
    CONSTRAINT flags_mint_in_referral_api_stays_off CHECK (NOT (enabled AND name = 'mint_in_referral_api'))
);

ALTER TABLE tallystick.flags ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.flags FORCE ROW LEVEL SECURITY;
CREATE POLICY flags_service ON tallystick.flags
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.flags FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (enabled, updated_at, updated_by) ON tallystick.flags TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.flags;
