-- Stage rooms: rosters with a version, and the players in their slots.

-- kind: before
-- locks: none
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

-- The rules of the last decision stay with the roster, so that its slots can be checked against them at any time.
CREATE TABLE tallystick.stage_rosters (
    room_id text COLLATE "C" NOT NULL,
    owner_id text COLLATE "C" NOT NULL,
    roster_version bigint NOT NULL,
    contract_version text COLLATE "C" NOT NULL,
    roles jsonb NOT NULL,
    CONSTRAINT stage_rosters_pkey PRIMARY KEY (room_id),
    CONSTRAINT stage_rosters_version_counts CHECK (roster_version >= 1),
    CONSTRAINT stage_rosters_roles_by_name CHECK (jsonb_typeof(roles) = 'object')
);
CREATE INDEX stage_rosters_by_owner ON tallystick.stage_rosters (owner_id);

ALTER TABLE tallystick.stage_rosters ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.stage_rosters FORCE ROW LEVEL SECURITY;
CREATE POLICY stage_rosters_service ON tallystick.stage_rosters
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.stage_rosters FROM public, anon, authenticated;
GRANT SELECT, INSERT, UPDATE (roster_version, contract_version, roles) ON tallystick.stage_rosters TO tallystick_app;

CREATE TABLE tallystick.roster_slots (
    room_id text COLLATE "C" NOT NULL,
    role text COLLATE "C" NOT NULL,
    slot bigint NOT NULL,
    player_id text COLLATE "C" NOT NULL,
    CONSTRAINT roster_slots_pkey PRIMARY KEY (room_id, role, slot),
    CONSTRAINT roster_slots_player_once UNIQUE (room_id, player_id),
    CONSTRAINT roster_slots_room_fkey FOREIGN KEY (room_id) REFERENCES tallystick.stage_rosters (room_id),
    CONSTRAINT roster_slots_slot_bounded CHECK (slot BETWEEN 1 AND 100)
);
CREATE INDEX roster_slots_by_player ON tallystick.roster_slots (player_id, room_id);

ALTER TABLE tallystick.roster_slots ENABLE ROW LEVEL SECURITY;
ALTER TABLE tallystick.roster_slots FORCE ROW LEVEL SECURITY;
CREATE POLICY roster_slots_service ON tallystick.roster_slots
FOR ALL TO tallystick_app USING (true) WITH CHECK (true);
REVOKE ALL ON tallystick.roster_slots FROM public, anon, authenticated;
GRANT SELECT, INSERT, DELETE ON tallystick.roster_slots TO tallystick_app;

-- migrate:down
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';

DROP TABLE tallystick.roster_slots;
DROP TABLE tallystick.stage_rosters;
