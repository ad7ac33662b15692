"""Messages: sent by members, each once for ever, and deleted by their sender or an owner of the channel."""

from collections.abc import Sequence

import msgspec

from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.ports import Randomness
from tallystick.application.topics import AnnounceTopics, TopicBatch, announce_nothing
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.channels import ChannelId, Member, MemberKey, may_read
from tallystick.domain.messages import (
    Message,
    MessageId,
    MessageNotFound,
    SendingContext,
    SendKey,
    check_body,
    may_delete,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicEvent, TopicEventId, TopicId
from tallystick.domain.users import UserDeleted, UserId


class NewMessage(msgspec.Struct, frozen=True):
    """Send a text to a channel; the same client message id again is the same message for ever."""

    message_id: MessageId
    channel_id: ChannelId
    sender_id: UserId
    client_message_id: str
    body: str

    @property
    def key(self) -> SendKey:
        """The key of the message."""
        return SendKey(self.channel_id, self.sender_id, self.client_message_id)


class DeleteMessage(msgspec.Struct, frozen=True):
    """Take the text of a message away for ever."""

    message_id: MessageId
    channel_id: ChannelId
    """Where the message is: its topic is locked before the message is read."""
    actor_id: UserId
    event_id: str
    """The id of the event. It is made before the transaction: a retry after a lost commit finds its own event."""

    @property
    def stored_as(self) -> TopicEventId:
        """The event by which an earlier try is found."""
        return TopicEventId(TopicId(self.channel_id), self.event_id)


class SendMessages:
    """Store messages with their events, numbered in the order in which their channel took them."""

    def __init__(
        self,
        transactions: Transactions,
        once: AnswerOnce,
        randomness: Randomness,
        announce: AnnounceTopics = announce_nothing,
    ) -> None:
        self._transactions, self._once, self._randomness, self._announce = transactions, once, randomness, announce

    async def __call__(self, commands: Sequence[Keyed[NewMessage]]) -> list[Message | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, commands, lambda fresh: self._send(stores, fresh))
        self._announce({TopicId(sent.channel_id) for sent in outcomes if isinstance(sent, Message)})
        return outcomes

    async def _send(self, stores: Stores, commands: Sequence[NewMessage]) -> list[Message | Failure]:
        topic_ids = {TopicId(command.channel_id) for command in commands}
        topics = await TopicBatch.lock(stores, topic_ids, self._randomness)
        # Behind the locks, in a statement of its own: a removal that was waited for is seen.
        context = await stores.messages.sending_context({command.key for command in commands})
        batch = SendBatch(topics, context)
        outcomes = [batch.decide(command) for command in commands]
        await batch.record(stores)
        return outcomes


class SendBatch:
    """Everything that a batch of messages is decided on, kept current while it is decided."""

    def __init__(self, topics: TopicBatch, context: SendingContext) -> None:
        self._topics = topics
        self._members, self._sent, self._deleted = context
        self._new: list[tuple[Message, TopicEvent]] = []

    def decide(self, command: NewMessage) -> Message | Failure:
        """Decide one message. UserDeleted, ChannelNotFound, NotAMember, MessageLength."""
        if command.sender_id in self._deleted:
            return UserDeleted()
        kept = self._sent.get(command.key)
        if kept is not None:  # before every refusal: a sender may have been removed since the commit that was lost
            return kept
        try:
            may_read(self._members.get(command.key.member))
            check_body(command.body)
        except Failure as failure:
            return failure
        event = self._topics.next_event(
            TopicId(command.channel_id), "message", command.message_id, actor_id=command.sender_id
        )
        message = Message(
            command.message_id,
            command.channel_id,
            event.seq,
            command.sender_id,
            command.client_message_id,
            command.body,
            event.created_at,
            None,
        )
        self._sent[command.key] = message
        self._new.append((message, event))
        return message

    async def record(self, stores: Stores) -> None:
        """Store the messages that are new."""
        if self._new:
            await stores.messages.send(self._new)


class DeleteMessages:
    """Replace messages by tombstones, each with an event that says so."""

    def __init__(
        self, transactions: Transactions, randomness: Randomness, announce: AnnounceTopics = announce_nothing
    ) -> None:
        self._transactions, self._randomness, self._announce = transactions, randomness, announce

    async def __call__(self, commands: Sequence[DeleteMessage]) -> list[Message | Failure]:
        async with self._transactions.begin() as stores:
            topic_ids = {TopicId(command.channel_id) for command in commands}
            topics = await TopicBatch.lock(stores, topic_ids, self._randomness)
            messages = await stores.messages.find({command.message_id for command in commands})
            members = await stores.channels.members(
                {MemberKey(command.channel_id, command.actor_id) for command in commands}
            )
            stored = await stores.topics.find({command.stored_as for command in commands})
            gone: list[tuple[Message, TopicEvent]] = []
            outcomes = [
                messages[command.message_id]  # before every refusal, as above
                if command.stored_as in stored and command.message_id in messages
                else self._decide(command, topics, messages, members, gone)
                for command in commands
            ]
            if gone:
                await stores.messages.delete(gone)
        self._announce({event.topic_id for _, event in gone})
        return outcomes

    def _decide(
        self,
        command: DeleteMessage,
        topics: TopicBatch,
        messages: dict[MessageId, Message],
        members: dict[MemberKey, Member],
        gone: list[tuple[Message, TopicEvent]],
    ) -> Message | Failure:
        message = messages.get(command.message_id)
        if message is None or message.channel_id != command.channel_id:
            return MessageNotFound()
        try:
            may_delete(message, members.get(MemberKey(command.channel_id, command.actor_id)))
        except Failure as failure:
            return failure
        if message.deleted_at is not None:
            return message
        tombstone, event = deletion_of(message, topics, command.actor_id, command.event_id)
        messages[message.message_id] = tombstone
        gone.append((tombstone, event))
        return tombstone


def deletion_of(
    message: Message, topics: TopicBatch, actor_id: UserId, event_id: str | None = None
) -> tuple[Message, TopicEvent]:
    """Return what is left of a message, and the event that says so."""
    event = topics.next_event(
        TopicId(message.channel_id), "message_deleted", message.message_id, actor_id=actor_id, event_id=event_id
    )
    return msgspec.structs.replace(message, body=None, deleted_at=event.created_at), event
