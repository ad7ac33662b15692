"""Stage rooms: an organiser syncs the roster of a room."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from litestar import Router, post
from litestar.params import JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.ports import Clock
from tallystick.application.schema_contract import ContractMissing
from tallystick.application.stage_rooms import SyncRoster
from tallystick.domain.stage_rooms import (
    MAX_ROLES,
    MAX_SLOTS,
    NotYourRoom,
    PlayerDeleted,
    PlayerTwice,
    RoleName,
    RoomId,
    Roster,
    RosterSlot,
    RosterStale,
    SlotsExceeded,
    SlotTaken,
    UnknownRole,
    verify_roles_and_slots,
)
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.caller_guard import PERMISSION_FOR_OTHERS, CallerGuard
from tallystick.entrypoints.http.fields import RoleNameText, RoomIdText, UserIdText
from tallystick.entrypoints.http.parameters import KEYLESS
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.requests import ApiRequest

LARGEST_SEEN_VERSION = 2**63 - 2
_SlotNumber = Annotated[int, msgspec.Meta(ge=1, le=MAX_SLOTS)]


class SlotBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A player in a slot of a role; the slots of a role are numbered from 1."""

    role: RoleNameText
    """The name of a role in the rules."""
    slot: _SlotNumber
    player_id: UserIdText


class RoleSlots(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many slots a role has."""

    slots: _SlotNumber
    """The number of slots of the role."""


class StageRules(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The rules of a room: its roles by name."""

    roles: Annotated[dict[RoleNameText, RoleSlots], msgspec.Meta(min_length=1, max_length=MAX_ROLES)]


class CheckBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Slots to verify against the rules of a room."""

    slots: Annotated[list[SlotBody], msgspec.Meta(max_length=MAX_SLOTS)]
    """Every slot that has a player."""
    rules: StageRules


class RoleCount(msgspec.Struct, frozen=True):
    """A role, and how many of its slots have a player."""

    role: str
    slots: int
    """The number of slots of the role."""
    taken: int
    """The number of slots that have a player."""


class VerifiedSlots(msgspec.Struct, frozen=True):
    """Slots that keep the rules."""

    roles: list[RoleCount]
    """The roles of the rules, in their order."""


class RosterBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A whole roster, with the version that the organiser saw: 0 for a new room."""

    room_id: RoomIdText
    roster_version: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_SEEN_VERSION)]
    """The version that the organiser saw; 0 for a new room."""
    slots: Annotated[list[SlotBody], msgspec.Meta(max_length=MAX_SLOTS)]
    """Every slot that has a player."""
    rules: StageRules


class RosterView(msgspec.Struct, frozen=True):
    """The roster that was stored, its version, and the version of the schema that it was decided on."""

    room_id: RoomId
    roster_version: int
    contract_version: str
    slots: list[RosterSlot]
    """Every slot that has a player."""


def stage_rooms_router(
    sync: Single[Keyed[SyncRoster], Roster],
    caller_guard: CallerGuard,
    clock: Clock,
) -> Router:
    """Return the routes of stage rooms."""

    @post(
        "/stage-room-match",
        status_code=200,
        opt={
            PERMISSION_FOR_OTHERS: "rooms:manage",
            FAILURES: (
                NotYourRoom,
                UnknownRole,
                SlotsExceeded,
                PlayerTwice,
                SlotTaken,
                PlayerDeleted,
                RosterStale,
                ContractMissing,
            ),
        },
    )
    async def sync_roster(request: ApiRequest, data: JSONBody[RosterBody]) -> RosterView:
        """Verify a roster against the rules of its room and store it, or store nothing.

        The first organiser owns the room. Another organiser needs `rooms:manage`.
        """
        command = SyncRoster(
            room_id=RoomId(data.room_id),
            actor_id=request.user.user_id,
            seen_version=data.roster_version,
            roles=_roles(data.rules),
            slots=_slots(data.slots),
            is_manager=request.user.may("rooms:manage"),
        )
        return wire_roster(await sync(Keyed(command, await request.idempotency_key(clock.now()))))

    @post(
        "/stage-room-match/verify",
        status_code=200,
        opt={KEYLESS: True, FAILURES: (UnknownRole, SlotsExceeded, PlayerTwice, SlotTaken)},
    )
    async def verify_roster(data: JSONBody[CheckBody]) -> VerifiedSlots:
        """Verify slots against rules, and store nothing. A sync verifies them by itself."""
        verify_roles_and_slots(_slots(data.slots), _roles(data.rules))
        taken = Counter(slot.role for slot in data.slots)
        return VerifiedSlots([RoleCount(name, role.slots, taken[name]) for name, role in data.rules.roles.items()])

    return Router(
        "/api/rank", route_handlers=[sync_roster, verify_roster], guards=[caller_guard.guard], tags=["Stage rooms"]
    )


def wire_roster(roster: Roster) -> RosterView:
    """Return a roster as the wire shows it."""
    return RosterView(roster.room_id, roster.roster_version, roster.contract_version, list(roster.slots))


def _roles(rules: StageRules) -> Mapping[RoleName, int]:
    return {RoleName(name): role.slots for name, role in rules.roles.items()}


def _slots(slots: Sequence[SlotBody]) -> tuple[RosterSlot, ...]:
    return tuple(RosterSlot(RoleName(slot.role), slot.slot, UserId(slot.player_id)) for slot in slots)
