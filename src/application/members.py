"""Members of channels: placed and removed under the lock of the channel's topic, each change by one event."""

from collections.abc import Collection, Mapping, Sequence

import msgspec

from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.ports import Randomness
from tallystick.application.topics import AnnounceTopics, TopicBatch, announce_nothing
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, BoundReached, UserBounds
from tallystick.domain.channels import ChannelId, Member, MemberKey, Role, may_place, may_remove
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicEvent, TopicEventId, TopicId
from tallystick.domain.users import UserDeleted, UserId


class PlaceMember(msgspec.Struct, frozen=True):
    """Make a user a member of a channel, or give a member another role."""

    channel_id: ChannelId
    actor_id: UserId
    user_id: UserId
    role: Role
    event_id: str
    """The id of the event. It is made before the transaction: a retry after a lost commit finds its own event."""

    @property
    def key(self) -> MemberKey:
        """The key of the member."""
        return MemberKey(self.channel_id, self.user_id)

    @property
    def stored_as(self) -> TopicEventId:
        """The event by which an earlier try is found."""
        return TopicEventId(TopicId(self.channel_id), self.event_id)


class RemoveMember(msgspec.Struct, frozen=True):
    """Remove a user from a channel; members may remove themselves."""

    channel_id: ChannelId
    actor_id: UserId
    user_id: UserId
    event_id: str
    """The id of the event. It is made before the transaction: a retry after a lost commit finds its own event."""

    @property
    def key(self) -> MemberKey:
        """The key of the member."""
        return MemberKey(self.channel_id, self.user_id)

    @property
    def stored_as(self) -> TopicEventId:
        """The event by which an earlier try is found."""
        return TopicEventId(TopicId(self.channel_id), self.event_id)


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
        topics = await TopicBatch.lock(stores, {TopicId(command.channel_id) for command in commands}, self._randomness)
        batch = await MemberBatch.open(stores, commands, topics, deleted, self._bounds.channel_members)
        outcomes = [batch.decide(command) for command in commands]
        await batch.record(stores)
        return outcomes


class MemberBatch:
    """The members that a batch is decided on, kept current while it is decided."""

    def __init__(
        self,
        topics: TopicBatch,
        members: dict[MemberKey, Member],
        owners: dict[ChannelId, set[UserId]],
        stored: Mapping[TopicEventId, TopicEvent],
        deleted: Collection[UserId],
        counts: dict[ChannelId, int],
        most: int,
    ) -> None:
        self._topics, self._members, self._owners = topics, members, owners
        self._stored, self._deleted, self._counts, self._most = stored, deleted, counts, most
        self._changed: dict[MemberKey, Member] = {}
        self._events: list[TopicEvent] = []

    @classmethod
    async def open(
        cls,
        stores: Stores,
        commands: Sequence[PlaceMember | RemoveMember],
        topics: TopicBatch,
        deleted: Collection[UserId],
        most: int = DEFAULT_BOUNDS.channel_members,
    ) -> "MemberBatch":
        """Load the members behind the locks of the topics: a statement that locks would still see the old ones.

        A channel has at most `most` members, former members included.
        """
        keys = {command.key for command in commands}
        actors = {MemberKey(command.channel_id, command.actor_id) for command in commands}
        members = await stores.channels.members(keys | actors)
        owners = await stores.channels.owners({command.channel_id for command in commands})
        stored = await stores.topics.find({command.stored_as for command in commands})
        growing = {
            command.channel_id
            for command in commands
            if isinstance(command, PlaceMember) and command.key not in members
        }
        counts = await stores.channels.member_counts(growing, up_to=most) if growing else {}
        return cls(topics, members, owners, stored, deleted, counts, most)

    def decide(self, command: PlaceMember | RemoveMember) -> Member | Failure:
        """Decide one command, and keep what it changes."""
        held = self._members.get(command.key)
        if held is not None and command.stored_as in self._stored:
            return held  # an earlier try stored it: the actor may have lost the right to do it since
        is_placement = isinstance(command, PlaceMember)
        if command.actor_id in self._deleted or (is_placement and command.user_id in self._deleted):
            return UserDeleted()
        actor = self._members.get(MemberKey(command.channel_id, command.actor_id))
        owners = self._owners.setdefault(command.channel_id, set())
        try:
            if isinstance(command, RemoveMember):
                return self._remove(command, may_remove(actor, held, command.user_id, owners))
            may_place(actor, command.user_id, command.role, owners)
            return self._place(command, held)
        except Failure as failure:
            return failure

    def _place(self, command: PlaceMember, held: Member | None) -> Member:
        is_present = held is not None and held.is_present
        if held is not None and is_present and held.role == command.role:
            return held
        if held is None:
            self._take_place(command.channel_id)
        event = joining(self._topics, command.key, command.role, actor_id=command.actor_id, event_id=command.event_id)
        member = joined(event, command.role)
        if held is not None:
            joined_seq = held.joined_seq if is_present else event.seq
            member = msgspec.structs.replace(held, role=command.role, joined_seq=joined_seq, left_seq=None)
        return self._keep(member, event)

    def _take_place(self, channel_id: ChannelId) -> None:
        if self._counts[channel_id] >= self._most:
            raise BoundReached("channel_members", limit=self._most)
        self._counts[channel_id] += 1

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


def joining(
    topics: TopicBatch, key: MemberKey, role: Role, *, actor_id: UserId, event_id: str | None = None
) -> TopicEvent:
    """Return the next event of a channel, by which a user joins it or gets a role."""
    payload = msgspec.json.encode({"role": role}).decode()
    return topics.next_event(
        TopicId(key.channel_id), "member_added", key.user_id, actor_id=actor_id, payload=payload, event_id=event_id
    )


def joined(event: TopicEvent, role: Role) -> Member:
    """Return the new member of an event."""
    return Member(ChannelId(event.topic_id), UserId(event.ref), role, event.seq, None, event.seq)
