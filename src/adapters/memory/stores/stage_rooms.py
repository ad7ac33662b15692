"""Stage rooms in memory."""

from collections.abc import Collection, Sequence

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.stage_rooms import MAX_SLOTS, RoomId, Roster, StageRooms
from tallystick.domain.users import UserId


class MemoryStageRooms(StageRooms):
    """Rosters of one view, each with its slots."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def lock(self, room_ids: Collection[RoomId]) -> dict[RoomId, Roster]:
        found = (self._view.rosters.get(room_id) for room_id in sorted(room_ids))
        locked = {roster.room_id: roster for roster in found if roster}
        self._view.locked_rooms |= locked.keys()
        return locked

    async def add(self, rosters: Sequence[Roster]) -> None:
        for roster in rosters:
            if roster.room_id in self._view.rosters:
                raise ConstraintViolated("stage_rosters_pkey")
            self._put(roster)

    async def replace(self, rosters: Sequence[Roster]) -> None:
        for roster in rosters:
            if roster.room_id not in self._view.locked_rooms:
                raise ConstraintViolated("a roster is replaced under its lock")
            self._put(roster)

    def _put(self, roster: Roster) -> None:
        self._view.require_writable()
        if len({(each.role, each.slot) for each in roster.slots}) < len(roster.slots):
            raise ConstraintViolated("roster_slots_pkey")
        if len({each.player_id for each in roster.slots}) < len(roster.slots):
            raise ConstraintViolated("roster_slots_player_once")
        if not all(1 <= each.slot <= MAX_SLOTS for each in roster.slots):
            raise ConstraintViolated("roster_slots_slot_bounded")
        self._view.rosters.put(roster.room_id, roster)

    async def rooms_of(self, player_id: UserId, *, after: str, limit: int) -> list[RoomId]:
        found = [
            roster.room_id
            for roster in self._view.rosters.values()
            if roster.room_id > after and any(each.player_id == player_id for each in roster.slots)
        ]
        return sorted(found)[:limit]
