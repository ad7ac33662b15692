"""Channels: made by users, and read by their members, each up to a marker."""

from collections.abc import Sequence

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.members import joined, joining
from tallystick.application.ports import Randomness
from tallystick.application.topics import TopicBatch
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.channels import (
    Channel,
    ChannelId,
    ChannelNotFound,
    ChannelState,
    Member,
    MemberKey,
    NotAMember,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserDeleted


class NewChannel(msgspec.Struct, frozen=True):
    """Make a channel; the same id again is the same channel."""

    channel: Channel


class ReadUpTo(msgspec.Struct, frozen=True):
    """Advance a member's read marker."""

    key: MemberKey
    seq: int


class MakeChannels:
    """Make channels, each with its maker as the first member."""

    def __init__(
        self,
        transactions: Transactions,
        once: AnswerOnce,
        randomness: Randomness,
        bounds: UserBounds = DEFAULT_BOUNDS,
    ) -> None:
        self._transactions, self._once, self._randomness, self._bounds = transactions, once, randomness, bounds

    async def __call__(self, commands: Sequence[Keyed[NewChannel]]) -> list[ChannelState | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, commands, lambda fresh: self._decide(stores, fresh))

    async def _decide(self, stores: Stores, commands: Sequence[NewChannel]) -> list[ChannelState | Failure]:
        channels = {command.channel.channel_id: command.channel for command in commands}
        deleted = await stores.users.deleted({channel.owner_id for channel in channels.values()})
        owners = {channel.owner_id for channel in channels.values()} - deleted
        capacity = await Capacity.open(stores, "channels", owners, self._bounds)
        kept = await stores.channels.find(channels)
        outcomes: dict[ChannelId, ChannelState | Failure] = {}
        # One after the other: no user makes channels by the thousand.
        for channel_id, channel in channels.items():
            if channel_id in kept:  # an earlier try whose answer was lost
                outcomes[channel_id] = _first_state(channel)
            elif channel.owner_id in deleted:
                outcomes[channel_id] = UserDeleted()
            elif not capacity.take(channel.owner_id):
                outcomes[channel_id] = capacity.refusal
            else:
                outcomes[channel_id] = await self._make(stores, channel)
        return [outcomes[command.channel.channel_id] for command in commands]

    async def _make(self, stores: Stores, channel: Channel) -> ChannelState:
        topic_id = TopicId(channel.channel_id)
        await stores.topics.add(topic_id, "channel")
        await stores.channels.add(channel)
        batch = await TopicBatch.lock(stores, [topic_id], self._randomness)
        key = MemberKey(channel.channel_id, channel.owner_id)
        event = joining(batch, key, "owner", actor_id=channel.owner_id)
        await stores.topics.append([event])
        await stores.channels.store_members([joined(event, "owner")])
        return _first_state(channel)


class ReadMessages:
    """Advance read markers; markers need no lock of the topic, and are no events."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, commands: Sequence[ReadUpTo]) -> list[Member | Failure]:
        markers: dict[MemberKey, int] = {}
        for command in commands:
            markers[command.key] = max(command.seq, markers.get(command.key, 0))
        async with self._transactions.begin() as stores:
            marked = await stores.channels.mark_read(markers)
            strangers = [key for key in markers if key not in marked]
            former = await stores.channels.members(strangers) if strangers else {}
        return [
            marked.get(command.key) or (NotAMember() if command.key in former else ChannelNotFound())
            for command in commands
        ]


def _first_state(channel: Channel) -> ChannelState:
    """Return a channel as its maker sees it behind the event that made them its first member."""
    return ChannelState(channel.channel_id, channel.name, channel.owner_id, 1, channel.created_at, "owner", 1, 0)
