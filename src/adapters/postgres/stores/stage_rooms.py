"""Stage rooms on PostgreSQL."""

from collections import defaultdict
from collections.abc import Collection, Sequence

import msgspec

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.stage_rooms import RoleName, RoomId, Roster, RosterSlot, StageRooms
from tallystick.domain.users import UserId

_SQL = Statements.load("stage_rooms")


class PostgresStageRooms(StageRooms):
    """Rows of `stage_rosters` and `roster_slots`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, room_ids: Collection[RoomId]) -> dict[RoomId, Roster]:
        rosters = await self._connection.fetch(_SQL.lock, list(room_ids))
        slots: dict[RoomId, list[RosterSlot]] = defaultdict(list)
        # In a separate statement: it sees what the previous holder of the lock committed.
        for room_id, *slot in await self._connection.fetch(_SQL.slots, [row["room_id"] for row in rosters]):
            slots[room_id].append(RosterSlot(*slot))
        return {
            room_id: Roster(room_id, owner_id, version, contract_version, _roles(roles), tuple(slots[room_id]))
            for room_id, owner_id, version, contract_version, roles in rosters
        }

    async def add(self, rosters: Sequence[Roster]) -> None:
        rows = [
            (each.room_id, each.owner_id, each.roster_version, each.contract_version, _text(each)) for each in rosters
        ]
        await self._connection.execute(_SQL.add, *zip(*rows, strict=True))
        await self._add_slots(rosters)

    async def replace(self, rosters: Sequence[Roster]) -> None:
        rows = [(each.room_id, each.roster_version, each.contract_version, _text(each)) for each in rosters]
        await self._connection.execute(_SQL.replace, *zip(*rows, strict=True))
        await self._connection.execute(_SQL.drop_slots, [each.room_id for each in rosters])
        await self._add_slots(rosters)

    async def _add_slots(self, rosters: Sequence[Roster]) -> None:
        rows = [(roster.room_id, each.role, each.slot, each.player_id) for roster in rosters for each in roster.slots]
        if rows:
            await self._connection.execute(_SQL.add_slots, *zip(*rows, strict=True))

    async def rooms_of(self, player_id: UserId, *, after: str, limit: int) -> list[RoomId]:
        return [row["room_id"] for row in await self._connection.fetch(_SQL.rooms_of, player_id, after, limit)]


def _text(roster: Roster) -> str:
    return msgspec.json.encode(roster.roles).decode()


def _roles(text: str) -> dict[RoleName, int]:
    return msgspec.json.decode(text, type=dict[RoleName, int])
