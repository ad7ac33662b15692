-- lock(room_ids) -> (room_id, owner_id, roster_version, contract_version, roles)
-- In key order, so that two batches queue instead of deadlocking.
SELECT room_id, owner_id, roster_version, contract_version, roles::text AS roles
FROM tallystick.stage_rosters
WHERE room_id = ANY($1::text[])
ORDER BY room_id
FOR NO KEY UPDATE;

-- slots(room_ids) -> (room_id, role, slot, player_id)
SELECT room_id, role, slot, player_id
FROM tallystick.roster_slots
WHERE room_id = ANY($1::text[])
ORDER BY room_id, role, slot;

-- add(room_ids, owner_ids, roster_versions, contract_versions, roles) -> nothing
INSERT INTO tallystick.stage_rosters (room_id, owner_id, roster_version, contract_version, roles)
SELECT room_id, owner_id, roster_version, contract_version, roles::jsonb
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[], $5::text[]) AS new (
    room_id, owner_id, roster_version, contract_version, roles
);

-- replace(room_ids, roster_versions, contract_versions, roles) -> nothing
UPDATE tallystick.stage_rosters AS held
SET roster_version = new.roster_version, contract_version = new.contract_version, roles = new.roles::jsonb
FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS new (
    room_id, roster_version, contract_version, roles
)
WHERE held.room_id = new.room_id;

-- drop_slots(room_ids) -> nothing
DELETE FROM tallystick.roster_slots
WHERE room_id = ANY($1::text[]);

-- add_slots(room_ids, roles, slots, player_ids) -> nothing
INSERT INTO tallystick.roster_slots (room_id, role, slot, player_id)
SELECT room_id, role, slot, player_id
FROM unnest($1::text[], $2::text[], $3::bigint[], $4::text[]) AS new (room_id, role, slot, player_id);

-- rooms_of(player_id, after, limit) -> RoomId
SELECT room_id
FROM tallystick.roster_slots
WHERE player_id = $1::text AND room_id > $2::text
ORDER BY room_id
LIMIT $3::bigint;
