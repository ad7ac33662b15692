"""Channels: rooms with members, who read and send messages."""

import re
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.usernames import is_visible
from tallystick.domain.users import UserId

ChannelId = NewType("ChannelId", str)
"""The id of a channel is the id of its topic."""

MAX_CHANNEL_NAME_LENGTH = 200
MOST_UNREAD = 100
"""Unread messages are counted up to this number."""
UNREAD_RANGE = 200
"""Unread messages are counted among so many messages above the marker, deleted ones included."""

CHANNEL_NAME_RULE = (
    f"a name of 1 to {MAX_CHANNEL_NAME_LENGTH} characters, more than spaces, without control, invisible or unassigned "
    "characters"
)
_JOINERS = re.compile("[\u200c\u200d\ufe00-\ufe0f]")
"""Invisible characters that change how their neighbours look, as in Persian words and in emoji."""

Role = Literal["owner", "member"]


class ChannelNotFound(Refusal):
    """There is no such channel, or the caller was never a member of it."""

    code = "CHANNEL_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the caller is a member of no channel with this id")


class NotAMember(Refusal):
    """The caller was a member of this channel, and is none now."""

    code = "NOT_A_MEMBER"

    def __init__(self) -> None:
        super().__init__("the caller is no longer a member of this channel; an owner can add members")


class NotAnOwner(Refusal):
    """Only an owner of the channel may do this."""

    code = "NOT_AN_OWNER"

    def __init__(self) -> None:
        super().__init__("only an owner of the channel can add, change and remove other members")


class MemberNotFound(Refusal):
    """The user is no member of this channel."""

    code = "MEMBER_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("the channel has no member with this id")


class LastOwner(Refusal):
    """The channel would be left without an owner."""

    code = "LAST_OWNER"

    def __init__(self) -> None:
        super().__init__("a channel needs an owner: make another member an owner first")


class Channel(msgspec.Struct, frozen=True):
    """A channel. Its owner made it; its members may have several owners by role."""

    channel_id: ChannelId
    owner_id: UserId
    name: str
    created_at: datetime


class MemberKey(NamedTuple):
    """One user in one channel."""

    channel_id: ChannelId
    user_id: UserId


class Member(msgspec.Struct, frozen=True):
    """A user who is or was a member of a channel."""

    channel_id: ChannelId
    user_id: UserId
    role: Role
    joined_seq: int
    """The number of the event that added the member."""
    left_seq: int | None
    """The number of the event that removed the member; None while it is one."""
    read_seq: int
    """The member has read everything up to this number."""

    @property
    def is_present(self) -> bool:
        """True while the user is a member."""
        return self.left_seq is None


class ChannelState(msgspec.Struct, frozen=True):
    """A channel as one of its members sees it in a list."""

    channel_id: ChannelId
    name: str
    """The name of the channel."""
    owner_id: UserId
    head: int
    created_at: datetime
    role: Role
    """The role of the caller."""
    read_seq: int
    unread: int
    """Messages above the read marker that were not deleted, at most 100."""


class Channels(Protocol):
    """Channels by id, and their members. Members change only under the lock of the channel's topic."""

    async def add(self, channel: Channel) -> None:
        """Store a new channel; one that is there already, as the same attempt stored it, stays."""

    async def find(self, channel_ids: Collection[ChannelId]) -> dict[ChannelId, Channel]:
        """Return the channels that exist."""

    async def members(self, keys: Collection[MemberKey]) -> dict[MemberKey, Member]:
        """Return those who are or were members."""

    async def owners(self, channel_ids: Collection[ChannelId]) -> dict[ChannelId, set[UserId]]:
        """Return the present owners of channels."""

    async def member_counts(self, channel_ids: Collection[ChannelId], *, up_to: int) -> dict[ChannelId, int]:
        """Return how many members each of these channels has or had, at most `up_to`."""

    async def store_members(self, members: Sequence[Member]) -> None:
        """Add members, or replace what is stored of them."""

    async def mark_read(self, markers: Mapping[MemberKey, int]) -> dict[MemberKey, Member]:
        """Advance the read markers of present members, at most to the head; a marker never goes back.

        Return the members as they are now; a user who is no member is left out.
        """

    async def page(self, user_id: UserId, *, before: ChannelId | None, limit: int) -> list[ChannelState]:
        """Return the channels of a member, newest first: those whose id is below `before`."""

    async def members_page(self, channel_id: ChannelId, *, after: UserId | None, limit: int) -> list[Member]:
        """Return the present members of a channel by user id."""

    async def channels_of(self, user_id: UserId, *, after: str, limit: int) -> list[ChannelId]:
        """Return the first channels behind `after` that the user is or was a member of, by id."""


def is_channel_name(text: str) -> bool:
    """Return whether a text is shown as it is written: `CHANNEL_NAME_RULE` says when."""
    shown = _JOINERS.sub("", text)
    return len(text) <= MAX_CHANNEL_NAME_LENGTH and bool(shown.strip()) and is_visible(shown)


def may_read(member: Member | None) -> Member:
    """Return the member where it may read the channel. The refusals: ChannelNotFound, NotAMember."""
    if member is None:
        raise ChannelNotFound
    if not member.is_present:
        raise NotAMember
    return member


def may_remove(actor: Member | None, member: Member | None, user_id: UserId, owners: Collection[UserId]) -> Member:
    """Return the member whom the actor may remove.

    The refusals, in their order: ChannelNotFound, NotAMember, NotAnOwner, MemberNotFound, LastOwner.
    """
    if user_id != may_read(actor).user_id and may_read(actor).role != "owner":
        raise NotAnOwner
    if member is None or not member.is_present:
        raise MemberNotFound
    if set(owners) == {user_id}:
        raise LastOwner
    return member


def may_place(actor: Member | None, user_id: UserId, role: Role, owners: Collection[UserId]) -> None:
    """Decide whether a member may give this user a role. ChannelNotFound, NotAMember, NotAnOwner, LastOwner."""
    if may_read(actor).role != "owner":
        raise NotAnOwner
    if role != "owner" and set(owners) == {user_id}:
        raise LastOwner
