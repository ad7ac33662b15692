-- What operators repaired by command: the row, what was found and what was done, by whom and when.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

CREATE TABLE tallystick.operator_actions (
    action_id text COLLATE "C" NOT NULL,
    action text COLLATE "C" NOT NULL,
    subject text NOT NULL,
    found text NOT NULL,
    done text NOT NULL,
    operator text NOT NULL,
    acted_at timestamptz NOT NULL,
    CONSTRAINT operator_actions_pkey PRIMARY KEY (action_id)
);

ALTER TABLE tallystick.operator_actions ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.operator_actions FORCE ROW LEVEL SECURITY;
CREATE POLICY operator_actions_service ON tallystick.operator_actions
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.operator_actions FROM public, anon, authenticated;
-- History: neither changed nor deleted.
GRANT SELECT, INSERT ON tallystick.operator_actions TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.operator_actions;
