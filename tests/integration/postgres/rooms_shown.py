"""The views of rooms that two stores have to share, without the times, which each store takes from its own clock."""

import re
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from tallystick.application.channels import NewChannel, ReadUpTo
from tallystick.application.idempotency import Keyed, Replayed
from tallystick.application.members import PlaceMember, RemoveMember
from tallystick.application.messages import DeleteMessage, NewMessage
from tallystick.application.stage_rooms import SyncRoster
from tallystick.application.transactions import Stores
from tallystick.domain.bounds import UserBounds
from tallystick.domain.channels import ChannelId, MemberKey
from tallystick.domain.messages import Message
from tallystick.domain.stage_rooms import RoomId, Roster
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages
from tests.worlds.world import World

Command = NewChannel | PlaceMember | RemoveMember | ReadUpTo | NewMessage | DeleteMessage | SyncRoster

BOUNDS = UserBounds(channels=2, channel_members=4, stage_rooms=2)
"""So small that they are reached."""
ALL = 10_000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_OF_ONE_STORE = re.compile(rb"created_at=datetime[^)]*\)|contract_version='[^']*'")


async def outcomes(world: World, commands: Sequence[Keyed[Any]]) -> list[object]:
    """Return what commands of one kind answer in one batch."""
    rooms, plain = Rooms(world, BOUNDS), [each.command for each in commands]
    found: Sequence[object]
    match plain[0]:
        case NewChannel():
            found = await rooms.make_channels(commands)
        case PlaceMember() | RemoveMember():
            found = await rooms.change_members(commands)
        case NewMessage():
            found = await rooms.send_messages(commands)
        case SyncRoster():
            found = await Stages(world, BOUNDS).sync_rosters(commands)
        case ReadUpTo():
            found = await rooms.read_messages(plain)
        case _:
            found = await rooms.delete_messages(plain)
    return [_comparable(each) for each in found]


def channels_of(commands: Collection[Command]) -> set[ChannelId]:
    """Return the channels that commands may change."""
    channels = {each.channel_id for each in commands if isinstance(each, PlaceMember | RemoveMember | NewMessage)}
    channels |= {each.channel_id for each in commands if isinstance(each, DeleteMessage)}
    channels |= {each.channel.channel_id for each in commands if isinstance(each, NewChannel)}
    return channels | {each.key.channel_id for each in commands if isinstance(each, ReadUpTo)}


def _comparable(outcome: object) -> object:
    if isinstance(outcome, Message):
        return without_times(outcome)
    if isinstance(outcome, Replayed):
        return Replayed(replace(outcome.reply, body=_OF_ONE_STORE.sub(b"", outcome.reply.body)))
    # Each store has a contract of its own.
    return replace(outcome, contract_version="") if isinstance(outcome, Roster) else outcome


def without_times(message: Message) -> Message:
    """Return a message at no time; a deleted one stays deleted."""
    return replace(message, created_at=_START, deleted_at=_START if message.deleted_at is not None else None)


async def channels_shown(stores: Stores, channels: Collection[ChannelId], users: Collection[UserId]) -> list[object]:
    """Return all that is stored of channels."""
    keys = [MemberKey(channel, user) for channel in channels for user in users]
    return [
        await stores.channels.find(channels),
        await stores.channels.members(keys),
        await stores.channels.owners(channels),
        await stores.topics.heads([TopicId(channel) for channel in channels]),
        await stores.topics.extents([TopicId(channel) for channel in channels]),
        await stores.channels.member_counts(channels, up_to=3),
        [await stores.channels.members_page(channel, after=None, limit=ALL) for channel in channels],
        [await _log(stores, channel) for channel in channels],
    ]


async def users_shown(stores: Stores, users: Collection[UserId]) -> list[object]:
    """Return all that is stored of users who are in rooms."""
    return [
        [await stores.channels.page(user, before=None, limit=ALL) for user in users],
        [await stores.channels.channels_of(user, after=ChannelId(""), limit=ALL) for user in users],
        [await stores.stage_rooms.rooms_of(user, after="", limit=ALL) for user in users],
        [await stores.holdings.count(name, users, up_to=ALL) for name in ("channels", "stage_rooms")],
        await stores.users.deleted(users),
        await stores.erasures.waiting(after=UserId(""), limit=ALL),
        await stores.topics.page(after="", limit=ALL),
    ]


async def rosters_shown(world: World, rooms: Collection[RoomId]) -> list[object]:
    """Return the rosters of rooms."""
    return [_comparable(await Stages(world).roster(room)) for room in rooms]


async def _log(stores: Stores, channel: ChannelId) -> list[object]:
    """Return the events and the messages of a channel; a time is its rank among the times of the channel."""
    events = await stores.topics.events(TopicId(channel), after=0, limit=ALL)
    messages = await stores.messages.page(channel, before=None, since=None, limit=ALL)
    times = {event.created_at for event in events} | {message.created_at for message in messages}
    times |= {message.deleted_at for message in messages if message.deleted_at is not None}
    ranks = {time: _START + timedelta(seconds=rank) for rank, time in enumerate(sorted(times))}
    return [
        # The id of an event begins with a time.
        [replace(event, event_id="", created_at=ranks[event.created_at]) for event in events],
        [
            replace(
                message,
                created_at=ranks[message.created_at],
                deleted_at=ranks[message.deleted_at] if message.deleted_at is not None else None,
            )
            for message in messages
        ],
    ]
