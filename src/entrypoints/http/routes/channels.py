"""Channels: made, listed and read by their members, who are added and removed by owners."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get, post, put
from litestar.params import FromPath, JSONBody

from tallystick.application.channels import NewChannel, ReadUpTo
from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.members import PlaceMember, RemoveMember
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores
from tallystick.domain.channels import (
    Channel,
    ChannelId,
    ChannelNotFound,
    ChannelState,
    LastOwner,
    Member,
    MemberKey,
    MemberNotFound,
    NotAMember,
    NotAnOwner,
    Role,
    may_read,
)
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.caller_guard import CallerGuard
from tallystick.entrypoints.http.fields import ChannelName
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.parameters import KEYLESS
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.requests import ApiRequest

LARGEST_SEQ = 2**63 - 1


class ChannelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A channel to make; the caller will own it."""

    name: ChannelName
    """The name of the channel."""


class ChannelView(msgspec.Struct, frozen=True):
    """A channel that was made; `head` is the number of its last event."""

    channel_id: ChannelId
    name: str
    """The name of the channel."""
    owner_id: UserId
    head: int
    created_at: datetime


class ChannelPage(Page[ChannelState], frozen=True):
    """A page of the channels that the caller is a member of, newest first."""


class RoleBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The role of a member. Owners add and remove members and delete messages of others."""

    role: Role
    """The new role."""


class MemberView(msgspec.Struct, frozen=True):
    """A member of a channel, by the numbers of the events that added and removed the member."""

    user_id: UserId
    role: Role
    joined_seq: int
    left_seq: int | None


class MemberPage(Page[MemberView], frozen=True):
    """A page of the members of a channel, by user id."""


class MarkerBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The number up to which the caller has read a channel."""

    seq: Annotated[int, msgspec.Meta(ge=0, le=LARGEST_SEQ)]
    """The number of the last event that the caller has seen."""


class MarkerView(msgspec.Struct, frozen=True):
    """The read marker of the caller: it never goes back, and never beyond the head."""

    channel_id: ChannelId
    read_seq: int


def channels_router(
    make: Single[Keyed[NewChannel], ChannelState],
    change: Single[Keyed[PlaceMember | RemoveMember], Member],
    mark: Single[ReadUpTo, Member],
    reads: Reads,
    caller_guard: CallerGuard,
    cursors: Cursors,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of channels."""

    @post("/", status_code=201)
    async def make_channel(request: ApiRequest, data: JSONBody[ChannelBody]) -> ChannelView:
        """Make a channel; the caller is its first member and owner."""
        now = clock.now()
        channel_id = ChannelId(uuid_v7(now, randomness.bytes(RANDOM_BYTES)))
        command = NewChannel(Channel(channel_id, request.user.user_id, data.name, now))
        return wire_channel(await make(Keyed(command, await request.idempotency_key(now, success_status=201))))

    @get("/")
    async def list_channels(request: ApiRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = "") -> ChannelPage:
        """Return the channels of the caller, newest first, with the number of unread messages."""
        user_id, wanted = request.user.user_id, clamp(limit)
        before = ChannelId(cursors.open("channels", cursor, str)) if cursor else None
        found = await reads(lambda stores: stores.channels.page(user_id, before=before, limit=wanted + 1))
        page = found[:wanted]
        return ChannelPage(page, cursors.seal("channels", page[-1].channel_id) if len(found) > wanted else None)

    @get("/{channel_id:str}/members", opt={FAILURES: (ChannelNotFound, NotAMember)})
    async def list_members(
        request: ApiRequest, channel_id: FromPath[str], limit: Limit = DEFAULT_LIMIT, cursor: Cursor = ""
    ) -> MemberPage:
        """Return the members of a channel of the caller, by user id."""
        key, wanted = MemberKey(ChannelId(channel_id), request.user.user_id), clamp(limit)
        listing = f"members {channel_id}"
        after = UserId(cursors.open(listing, cursor, str)) if cursor else None

        async def ask(stores: Stores) -> list[Member]:
            may_read((await stores.channels.members([key])).get(key))
            return await stores.channels.members_page(key.channel_id, after=after, limit=wanted + 1)

        found = await reads(ask)
        page = [wire_member(member) for member in found[:wanted]]
        return MemberPage(page, cursors.seal(listing, page[-1].user_id) if len(found) > wanted else None)

    @put(
        "/{channel_id:str}/members/{user_id:str}", opt={FAILURES: (ChannelNotFound, NotAMember, NotAnOwner, LastOwner)}
    )
    async def place_member(
        request: ApiRequest, channel_id: FromPath[str], user_id: FromPath[str], data: JSONBody[RoleBody]
    ) -> MemberView:
        """Add a member to a channel that the caller owns, or change the role of a member."""
        now = clock.now()
        event_id = uuid_v7(now, randomness.bytes(RANDOM_BYTES))
        command = PlaceMember(ChannelId(channel_id), request.user.user_id, UserId(user_id), data.role, event_id)
        return wire_member(await change(Keyed(command, await request.idempotency_key(now))))

    @delete(
        "/{channel_id:str}/members/{user_id:str}",
        status_code=200,
        opt={FAILURES: (ChannelNotFound, NotAMember, NotAnOwner, MemberNotFound, LastOwner)},
    )
    async def remove_member(request: ApiRequest, channel_id: FromPath[str], user_id: FromPath[str]) -> MemberView:
        """Remove a member from a channel that the caller owns, or the caller from any channel.

        The removal is an event of the channel: no message of the user has a higher number.
        """
        now = clock.now()
        event_id = uuid_v7(now, randomness.bytes(RANDOM_BYTES))
        command = RemoveMember(ChannelId(channel_id), request.user.user_id, UserId(user_id), event_id)
        return wire_member(await change(Keyed(command, await request.idempotency_key(now))))

    @put("/{channel_id:str}/read", opt={KEYLESS: True, FAILURES: (ChannelNotFound, NotAMember)})
    async def mark_read(request: ApiRequest, channel_id: FromPath[str], data: JSONBody[MarkerBody]) -> MarkerView:
        """Advance the caller's read marker. It never goes back, so that a late request changes nothing."""
        key = MemberKey(ChannelId(channel_id), request.user.user_id)
        member = await mark(ReadUpTo(key, data.seq))
        return MarkerView(member.channel_id, member.read_seq)

    return Router(
        "/api/channels",
        route_handlers=[make_channel, list_channels, list_members, place_member, remove_member, mark_read],
        guards=[caller_guard.guard],
        tags=["Channels"],
    )


def wire_channel(state: ChannelState) -> ChannelView:
    """Return a new channel as the wire shows it."""
    return ChannelView(state.channel_id, state.name, state.owner_id, state.head, state.created_at)


def wire_member(member: Member) -> MemberView:
    """Return a member as the wire shows it; the read marker is the member's own business."""
    return MemberView(member.user_id, member.role, member.joined_seq, member.left_seq)
