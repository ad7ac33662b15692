"""Channels: made by users, and their members, who change only under the lock of the channel's topic."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.ports import Randomness
from tallystick.application.topics import AnnounceTopics, TopicBatch, announce_nothing
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
    Role,
    may_place,
    may_remove,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicEvent, TopicId
from tallystick.domain.users import UserDeleted, UserId

RECENT_EVENTS = 1000
"""A retry looks for its own step down among so many events of the channel."""


class NewChannel(msgspec.Struct, frozen=True):
    """Make a channel; the same id again is the same channel."""

    channel: Channel


class PlaceMember(msgspec.Struct, frozen=True):
    """Make a user a member of a channel, or give a member another role."""

    channel_id: ChannelId
    actor_id: UserId
    user_id: UserId
    role: Role
    event_id: str
    """The id of the event. It is made before the transaction: a retry after a lost commit finds its own step down."""


class RemoveMember(msgspec.Struct, frozen=True):
    """Remove a user from a channel; members may remove themselves."""

    channel_id: ChannelId
    actor_id: UserId
    user_id: UserId
    event_id: str
    """The id of the removal. It is made before the transaction: a retry after a lost commit finds its own removal."""


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
            if channel.owner_id in deleted:
                outcomes[channel_id] = UserDeleted()
            elif channel_id in kept:  # an earlier try whose answer was lost
                outcomes[channel_id] = _first_state(channel)
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
        event = _joined(batch, channel.channel_id, channel.owner_id, channel.owner_id, "owner")
        await stores.topics.append([event])
        await stores.channels.store_members([_member(event, "owner")])
        return _first_state(channel)


class ChangeMembers:
    """Place and remove members. A removal is an event of the channel: no message of theirs stands above it."""

    def __init__(
        self,
        transactions: Transactions,
        once: AnswerOnce,
        randomness: Randomness,
        bounds: UserBounds = DEFAULT_BOUNDS,
        announce: AnnounceTopics = announce_nothing,
    ) -> None:
        self._transactions, self._once, self._randomness, self._bounds = transactions, once, randomness, bounds
        self._announce = announce

    async def __call__(
        self, commands: Sequence[Keyed[PlaceMember | RemoveMember]]
    ) -> list[Member | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, commands, lambda fresh: self._decide(stores, fresh))
        self._announce({TopicId(member.channel_id) for member in outcomes if isinstance(member, Member)})
        return outcomes

    async def _decide(self, stores: Stores, commands: Sequence[PlaceMember | RemoveMember]) -> list[Member | Failure]:
        placed = {command.user_id for command in commands if isinstance(command, PlaceMember)}
        deleted = await stores.users.deleted({command.actor_id for command in commands} | placed)
        capacity = await Capacity.open(stores, "memberships", placed - deleted, self._bounds)
        topics = await TopicBatch.lock(stores, {TopicId(command.channel_id) for command in commands}, self._randomness)
        batch = await MemberBatch.open(stores, commands, topics)
        outcomes = [
            UserDeleted()
            if command.actor_id in deleted or (isinstance(command, PlaceMember) and command.user_id in deleted)
            else batch.decide(command, capacity)
            for command in commands
        ]
        await batch.record(stores)
        return outcomes


class MemberBatch:
    """The members that a batch is decided on, kept current while it is decided."""

    def __init__(
        self,
        topics: TopicBatch,
        members: dict[MemberKey, Member],
        owners: dict[ChannelId, set[UserId]],
        removals: dict[MemberKey, str],
        recent: dict[ChannelId, set[str]],
    ) -> None:
        self._topics, self._members, self._owners = topics, members, owners
        self._removals, self._recent = removals, recent
        self._changed: dict[MemberKey, Member] = {}
        self._events: list[TopicEvent] = []

    @classmethod
    async def open(
        cls, stores: Stores, commands: Sequence[PlaceMember | RemoveMember], topics: TopicBatch
    ) -> "MemberBatch":
        """Load the members behind the locks of the topics: a statement that locks would still see the old ones."""
        keys = {
            MemberKey(command.channel_id, user_id)
            for command in commands
            for user_id in (command.actor_id, command.user_id)
        }
        owners = await stores.channels.owners({command.channel_id for command in commands})
        members = await stores.channels.members(keys)
        removed = {
            MemberKey(command.channel_id, command.user_id) for command in commands if isinstance(command, RemoveMember)
        }
        stepped_down = {command.channel_id for command in commands if _may_have_stepped_down(command, members)}
        recent = {channel_id: await _recent_events(stores, topics, channel_id) for channel_id in sorted(stepped_down)}
        return cls(topics, members, owners, await _removals(stores, members, removed), recent)

    def decide(self, command: PlaceMember | RemoveMember, capacity: Capacity) -> Member | Failure:
        """Decide one command, and keep what it changes."""
        actor = self._members.get(MemberKey(command.channel_id, command.actor_id))
        owners = self._owners.setdefault(command.channel_id, set())
        try:
            key = MemberKey(command.channel_id, command.user_id)
            held = self._members.get(key)
            if isinstance(command, RemoveMember):
                if held is not None and self._removals.get(key) == command.event_id:
                    return held
                return self._remove(command, may_remove(actor, held, command.user_id, owners))
            if held is not None and command.event_id in self._recent.get(command.channel_id, ()):
                return held  # stored by the try before: the actor is no owner any more
            may_place(actor, command.user_id, command.role, owners)
            return self._place(command, capacity)
        except Failure as failure:
            return failure

    def _place(self, command: PlaceMember, capacity: Capacity) -> Member:
        key = MemberKey(command.channel_id, command.user_id)
        held = self._members.get(key)
        is_present = held is not None and held.is_present
        if held is not None and is_present and held.role == command.role:
            return held
        if not is_present and not capacity.take(command.user_id):
            raise capacity.refusal
        event = _joined(
            self._topics, command.channel_id, command.user_id, command.actor_id, command.role, command.event_id
        )
        member = _member(event, command.role)
        if held is not None:
            joined_seq = held.joined_seq if is_present else event.seq
            member = msgspec.structs.replace(held, role=command.role, joined_seq=joined_seq, left_seq=None)
        return self._keep(member, event)

    def _remove(self, command: RemoveMember, member: Member) -> Member:
        event = self._topics.next_event(
            TopicId(command.channel_id),
            "member_removed",
            command.user_id,
            actor_id=command.actor_id,
            event_id=command.event_id,
        )
        return self._keep(msgspec.structs.replace(member, left_seq=event.seq), event)

    def _keep(self, member: Member, event: TopicEvent) -> Member:
        key = MemberKey(member.channel_id, member.user_id)
        self._members[key] = self._changed[key] = member
        owners = self._owners[member.channel_id]
        if member.is_present and member.role == "owner":
            owners.add(member.user_id)
        else:
            owners.discard(member.user_id)
        self._events.append(event)
        return member

    async def record(self, stores: Stores) -> None:
        """Store the members that changed, and the events that say so."""
        if self._events:
            await stores.topics.append(self._events)
            await stores.channels.store_members([self._changed[key] for key in sorted(self._changed)])


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


async def _removals(
    stores: Stores, members: Mapping[MemberKey, Member], keys: Collection[MemberKey]
) -> dict[MemberKey, str]:
    """Return the ids of the events that removed these users, where they are no members and the events are kept."""
    found: dict[MemberKey, str] = {}
    for key in keys:
        held = members.get(key)
        if held is None or held.left_seq is None:
            continue
        # One after the other: few remove a user who is gone.
        for event in await stores.topics.events(TopicId(key.channel_id), after=held.left_seq - 1, limit=1):
            if event.seq == held.left_seq:
                found[key] = event.event_id
    return found


def _may_have_stepped_down(command: PlaceMember | RemoveMember, members: Mapping[MemberKey, Member]) -> bool:
    """Return True for a member who asks to be a member: an earlier try may have stored that the owner stepped down."""
    if isinstance(command, RemoveMember) or command.actor_id != command.user_id or command.role != "member":
        return False
    held = members.get(MemberKey(command.channel_id, command.user_id))
    return held is not None and held.is_present and held.role == "member"


async def _recent_events(stores: Stores, topics: TopicBatch, channel_id: ChannelId) -> set[str]:
    """Return the ids of the last events of a channel: a retry follows its lost commit within seconds."""
    topic_id = TopicId(channel_id)
    after = max(topics.head(topic_id) - RECENT_EVENTS, 0)
    return {event.event_id for event in await stores.topics.events(topic_id, after=after, limit=RECENT_EVENTS)}


def _joined(
    topics: TopicBatch,
    channel_id: ChannelId,
    user_id: UserId,
    actor_id: UserId,
    role: Role,
    event_id: str | None = None,
) -> TopicEvent:
    payload = msgspec.json.encode({"role": role}).decode()
    return topics.next_event(
        TopicId(channel_id), "member_added", user_id, actor_id=actor_id, payload=payload, event_id=event_id
    )


def _member(event: TopicEvent, role: Role) -> Member:
    return Member(ChannelId(event.topic_id), UserId(event.ref), role, event.seq, None, event.seq)


def _first_state(channel: Channel) -> ChannelState:
    """Return a channel as its maker sees it behind the event that made them its first member."""
    return ChannelState(channel.channel_id, channel.name, channel.owner_id, 1, channel.created_at, "owner", 1, 0)
