"""Messages: texts that members send to a channel, in the order of their numbers."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.channels import ChannelId, Member, MemberKey, may_read
from tallystick.domain.refusals import Refusal
from tallystick.domain.topics import TopicEvent
from tallystick.domain.users import UserId

MessageId = NewType("MessageId", str)

MAX_MESSAGE_LENGTH = 4000


class MessageLength(Refusal):
    """The text is empty or too long."""

    code = "MESSAGE_LENGTH"
    longest: int

    def __init__(self) -> None:
        super().__init__(f"a text of 1 to {MAX_MESSAGE_LENGTH} characters is needed, and not only spaces")
        self.longest = MAX_MESSAGE_LENGTH


class MessageNotFound(Refusal):
    """There is no such message in a channel of the caller."""

    code = "MESSAGE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no channel of the caller has a message with this id")


class NotYourMessage(Refusal):
    """Somebody else sent the message, and the caller does not own the channel."""

    code = "NOT_YOUR_MESSAGE"

    def __init__(self) -> None:
        super().__init__("only its sender or an owner of the channel can delete a message")


class Message(msgspec.Struct, frozen=True):
    """A message of a channel, or what is left of one that was deleted."""

    message_id: MessageId
    channel_id: ChannelId
    seq: int
    sender_id: UserId
    client_message_id: str
    """The sender's own id of the message: sent again, it is the same message for ever."""
    body: str | None
    """None once the message was deleted."""
    created_at: datetime
    deleted_at: datetime | None


class SendKey(NamedTuple):
    """The key under which a message is stored once for ever."""

    channel_id: ChannelId
    sender_id: UserId
    client_message_id: str

    @property
    def member(self) -> MemberKey:
        """The sender as a member."""
        return MemberKey(self.channel_id, self.sender_id)


class SendingContext(NamedTuple):
    """Facts that sends are decided on."""

    members: dict[MemberKey, Member]
    sent: dict[SendKey, Message]
    """The messages that were stored under these keys before."""
    deleted: set[UserId]
    """The senders who were deleted."""


class Messages(Protocol):
    """Messages by channel and number. They are stored under the lock of the channel's topic."""

    async def sending_context(self, keys: Collection[SendKey]) -> SendingContext:
        """Return the facts of these sends. They must be read behind the locks of the topics."""

    async def send(self, messages: Sequence[tuple[Message, TopicEvent]]) -> None:
        """Store messages and their events, advance the heads, and the read markers of the senders."""

    async def find(self, message_ids: Collection[MessageId]) -> dict[MessageId, Message]:
        """Return the messages that exist, deleted ones included."""

    async def delete(self, messages: Sequence[tuple[Message, TopicEvent]]) -> None:
        """Store messages without their text, with the events that say so, and advance the heads."""

    async def page(
        self, channel_id: ChannelId, *, before: int | None, since: datetime | None, limit: int
    ) -> list[Message]:
        """Return the newest messages whose number is below `before`, and that were sent after `since`."""

    async def page_after(
        self, channel_id: ChannelId, *, after: int, since: datetime | None, limit: int
    ) -> list[Message]:
        """Return the oldest messages whose number is above `after`, and that were sent after `since`."""

    async def of_sender(self, key: MemberKey, *, after: str, limit: int) -> list[Message]:
        """Return the first messages of a sender in a channel by client message id, deleted ones included."""

    async def with_old_messages(self, channel_ids: Collection[ChannelId], *, before: datetime) -> list[ChannelId]:
        """Return those of these channels that have a message from before a time, by id."""

    async def forget(self, channel_id: ChannelId, *, before: datetime, limit: int) -> int:
        """Delete at most `limit` messages of a channel whose topic is locked, the oldest first, from before a time.

        A message whose event is kept stays. Return how many messages were deleted.
        """


def check_body(body: str) -> None:
    """MessageLength where a text is empty, holds only spaces, or is too long."""
    if not body.strip() or len(body) > MAX_MESSAGE_LENGTH:
        raise MessageLength


def may_delete(message: Message | None, actor: Member | None) -> Message:
    """Return the message where this member may delete it. MessageNotFound, NotAMember, NotYourMessage."""
    if message is None or actor is None:
        raise MessageNotFound
    member = may_read(actor)
    if message.sender_id != member.user_id and member.role != "owner":
        raise NotYourMessage
    return message
