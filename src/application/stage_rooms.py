"""Stage rooms: rosters are verified and stored in one transaction, on a schema that is known to be right."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.schema_contract import ContractMissing
from tallystick.application.topics import Appending
from tallystick.application.tracing import SILENT, Tracer
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.refusals import Failure
from tallystick.domain.stage_rooms import (
    PlayerDeleted,
    RoleName,
    RoomId,
    Roster,
    RosterSlot,
    sync_match_roster,
    verify_roles_and_slots,
    without_player,
)
from tallystick.domain.users import UserDeleted, UserId

_STEP_ROOMS = 50
"""How many rosters one step of an erasure locks at most."""


class SyncRoster(msgspec.Struct, frozen=True):
    """Replace the roster of a room; the first organiser makes the room and owns it."""

    room_id: RoomId
    actor_id: UserId
    seen_version: int
    """The version that the organiser saw; 0 where the room is new."""
    roles: Mapping[RoleName, int]
    slots: tuple[RosterSlot, ...]
    is_manager: bool = False


class SyncRosters:
    """Verify and store rosters."""

    def __init__(
        self,
        transactions: Transactions,
        once: AnswerOnce,
        bounds: UserBounds = DEFAULT_BOUNDS,
        tracer: Tracer = SILENT,
    ) -> None:
        self._transactions, self._once, self._bounds, self._tracer = transactions, once, bounds, tracer

    async def __call__(self, commands: Sequence[Keyed[SyncRoster]]) -> list[Roster | Failure | Replayed]:
        try:
            async with self._transactions.begin() as stores:
                return await self._once(stores, commands, lambda fresh: self._decide(stores, fresh))
        except ContractMissing as missing:
            return [missing for _ in commands]

    async def _decide(self, stores: Stores, commands: Sequence[SyncRoster]) -> list[Roster | Failure]:
        contract_version = await stores.contract.hold()
        if (span := self._tracer.current()) is not None:
            span.note("tallystick.contract_version", contract_version)
        actors = {command.actor_id for command in commands}
        players = {each.player_id for command in commands for each in command.slots}
        deleted = await stores.users.deleted(actors | players)
        capacity = await Capacity.open(stores, "stage_rooms", actors - deleted, self._bounds)
        batch = RosterBatch(await stores.stage_rooms.lock({command.room_id for command in commands}), deleted)
        outcomes = [batch.decide(command, capacity, contract_version) for command in commands]
        await batch.record(stores)
        return outcomes


class RosterBatch:
    """The locked rosters that a batch is decided on, kept current while it is decided."""

    def __init__(self, rosters: dict[RoomId, Roster], deleted: Collection[UserId]) -> None:
        self._stored, self._deleted = rosters, deleted
        self._changed: dict[RoomId, Roster] = {}

    def decide(self, command: SyncRoster, capacity: Capacity, contract_version: str) -> Roster | Failure:
        """Decide one command, and keep what it changes."""
        if command.actor_id in self._deleted:
            return UserDeleted()
        held = self._changed.get(command.room_id) or self._stored.get(command.room_id)
        wanted = Roster(
            command.room_id, command.actor_id, 0, contract_version, command.roles, tuple(sorted(command.slots))
        )
        try:
            verify_roles_and_slots(command.slots, command.roles)
            roster = sync_match_roster(held, wanted, seen_version=command.seen_version, is_manager=command.is_manager)
            if roster is not held:
                self._require_living(command.slots)
            if held is None and not capacity.take(command.actor_id):
                raise capacity.refusal
        except Failure as failure:
            return failure
        if roster is not held:
            self._changed[command.room_id] = roster
        return roster

    def _require_living(self, slots: Sequence[RosterSlot]) -> None:
        for index, each in enumerate(slots):
            if each.player_id in self._deleted:
                raise PlayerDeleted(index=index, player_id=each.player_id)

    async def record(self, stores: Stores) -> None:
        """Store the rosters that changed."""
        in_order = [self._changed[room_id] for room_id in sorted(self._changed)]
        if added := [roster for roster in in_order if roster.room_id not in self._stored]:
            await stores.stage_rooms.add(added)
        if replaced := [roster for roster in in_order if roster.room_id in self._stored]:
            await stores.stage_rooms.replace(replaced)


async def leave_rosters(
    stores: Stores, user_id: UserId, _at: datetime, after: str, _limit: int, _: Appending
) -> str | None:
    """Remove a deleted player from the first rosters behind a room; return the last room, None where that was all."""
    rooms = await stores.stage_rooms.rooms_of(user_id, after=after, limit=_STEP_ROOMS)
    locked = await stores.stage_rooms.lock(rooms) if rooms else {}
    # Behind the lock: an organiser may have removed the player since.
    changed = [
        without_player(locked[room_id], user_id)
        for room_id in sorted(locked)
        if any(each.player_id == user_id for each in locked[room_id].slots)
    ]
    if changed:
        await stores.stage_rooms.replace(changed)
    return rooms[-1] if len(rooms) == _STEP_ROOMS else None
