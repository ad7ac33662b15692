-- How far the looks at each promise have come through its rows.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.invariant_passes (
    promise text COLLATE "C" NOT NULL,
    began_at timestamptz NOT NULL,
    after text COLLATE "C" NOT NULL,
    violations bigint NOT NULL,
    skipped bigint NOT NULL,
    last_began_at timestamptz,
    last_violations bigint NOT NULL,
    last_skipped bigint NOT NULL,
    CONSTRAINT invariant_passes_pkey PRIMARY KEY (promise)
);

ALTER TABLE tallystick.invariant_passes ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.invariant_passes FORCE ROW LEVEL SECURITY;
CREATE POLICY invariant_passes_service ON tallystick.invariant_passes
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.invariant_passes FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE ON tallystick.invariant_passes TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.invariant_passes;
