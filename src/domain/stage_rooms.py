"""Stage rooms: rosters that are stored only as the rules of their room allow."""

from collections.abc import Collection, Mapping, Sequence
from typing import NewType, Protocol

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.users import UserId

RoomId = NewType("RoomId", str)
RoleName = NewType("RoleName", str)

MAX_ROLES = 32
MAX_SLOTS = 100
"""The most slots of a role, and of a whole roster."""


class UnknownRole(Refusal):
    """A slot has a role that the rules do not have."""

    code = "UNKNOWN_ROLE"
    index: int
    role: RoleName

    def __init__(self, *, index: int, role: RoleName) -> None:
        super().__init__(f"the rules have no role {role}, which slots[{index}] has")
        self.index, self.role = index, role


class SlotsExceeded(Refusal):
    """A slot has a number above the slots of its role."""

    code = "SLOTS_EXCEEDED"
    index: int
    role: RoleName
    slot: int
    allowed: int

    def __init__(self, *, index: int, role: RoleName, slot: int, allowed: int) -> None:
        super().__init__(f"the rules give the role {role} the slots 1 to {allowed}, and slots[{index}] is slot {slot}")
        self.index, self.role, self.slot, self.allowed = index, role, slot, allowed


class PlayerTwice(Refusal):
    """One player has two slots."""

    code = "PLAYER_TWICE"
    index: int
    first_index: int
    player_id: UserId

    def __init__(self, *, index: int, first_index: int, player_id: UserId) -> None:
        super().__init__(f"slots[{index}] has the same player as slots[{first_index}]")
        self.index, self.first_index, self.player_id = index, first_index, player_id


class SlotTaken(Refusal):
    """Two players have one slot."""

    code = "SLOT_TAKEN"
    index: int
    first_index: int
    role: RoleName
    slot: int

    def __init__(self, *, index: int, first_index: int, role: RoleName, slot: int) -> None:
        super().__init__(f"slots[{index}] is the same slot as slots[{first_index}]: slot {slot} of the role {role}")
        self.index, self.first_index, self.role, self.slot = index, first_index, role, slot


class PlayerDeleted(Refusal):
    """A player of the roster was deleted."""

    code = "PLAYER_DELETED"
    index: int
    player_id: UserId

    def __init__(self, *, index: int, player_id: UserId) -> None:
        super().__init__(f"the player of slots[{index}] was deleted")
        self.index, self.player_id = index, player_id


class RosterStale(Refusal):
    """The roster changed since the version that the request states."""

    code = "ROSTER_STALE"
    current_version: int

    def __init__(self, *, current_version: int) -> None:
        super().__init__(f"the roster has version {current_version} now; decide again on that version")
        self.current_version = current_version


class NotYourRoom(Refusal):
    """Another organiser owns the room."""

    code = "NOT_YOUR_ROOM"

    def __init__(self) -> None:
        super().__init__("another organiser owns the room; the permission rooms:manage is needed")


class RosterSlot(msgspec.Struct, frozen=True, order=True):
    """One slot of a role, and its player."""

    role: RoleName
    """The name of a role in the rules."""
    slot: int
    player_id: UserId


class Roster(msgspec.Struct, frozen=True):
    """The players of a room, and the rules on which they were verified."""

    room_id: RoomId
    owner_id: UserId
    """The organiser whose request made the room."""
    roster_version: int
    """One more with each change."""
    contract_version: str
    """The version of the schema on which the last decision was made."""
    roles: Mapping[RoleName, int]
    """The number of slots of each role."""
    slots: tuple[RosterSlot, ...]
    """By role and slot."""


class StageRooms(Protocol):
    """Rosters by room."""

    async def lock(self, room_ids: Collection[RoomId]) -> dict[RoomId, Roster]:
        """Lock and return the rosters that exist, in key order."""

    async def add(self, rosters: Sequence[Roster]) -> None:
        """Store rosters of new rooms; WriteConflict where another transaction has stored one."""

    async def replace(self, rosters: Sequence[Roster]) -> None:
        """Store the next versions of locked rosters, with all their slots."""

    async def rooms_of(self, player_id: UserId, *, after: str, limit: int) -> list[RoomId]:
        """Return the first rooms behind `after` in which a player has a slot, by id."""


def verify_roles_and_slots(slots: Sequence[RosterSlot], roles: Mapping[RoleName, int]) -> None:
    """Verify slots against the rules, in the order of the slots.

    The refusals of a slot, in their order: UnknownRole, SlotsExceeded, PlayerTwice, SlotTaken.
    """
    players: dict[UserId, int] = {}
    taken: dict[tuple[RoleName, int], int] = {}
    for index, each in enumerate(slots):
        allowed = roles.get(each.role)
        if allowed is None:
            raise UnknownRole(index=index, role=each.role)
        if each.slot > allowed:
            raise SlotsExceeded(index=index, role=each.role, slot=each.slot, allowed=allowed)
        if (first := players.setdefault(each.player_id, index)) != index:
            raise PlayerTwice(index=index, first_index=first, player_id=each.player_id)
        if (first := taken.setdefault((each.role, each.slot), index)) != index:
            raise SlotTaken(index=index, first_index=first, role=each.role, slot=each.slot)


def sync_match_roster(held: Roster | None, wanted: Roster, *, seen_version: int, is_manager: bool) -> Roster:
    """Return the roster that the room has from now on; NotYourRoom, RosterStale.

    `wanted` names the caller as the owner. The stored roster is returned where it is what the same request stored
    before: a request whose answer was lost gets the same answer.
    """
    if held is None:
        if seen_version != 0:
            raise RosterStale(current_version=0)
        return msgspec.structs.replace(wanted, roster_version=1)
    if held.owner_id != wanted.owner_id and not is_manager:
        raise NotYourRoom
    is_same = (held.roles, held.slots) == (wanted.roles, wanted.slots)
    if is_same and held.roster_version == seen_version + 1:
        return held
    if held.roster_version != seen_version:
        raise RosterStale(current_version=held.roster_version)
    return msgspec.structs.replace(wanted, owner_id=held.owner_id, roster_version=seen_version + 1)


def without_player(roster: Roster, player_id: UserId) -> Roster:
    """Return the next version of a roster, in which a player has no slot."""
    slots = tuple(each for each in roster.slots if each.player_id != player_id)
    return msgspec.structs.replace(roster, roster_version=roster.roster_version + 1, slots=slots)
