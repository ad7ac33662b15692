"""Messages in memory."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.stores.topics import MemoryTopics
from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.channels import ChannelId, MemberKey
from tallystick.domain.messages import MAX_MESSAGE_LENGTH, Message, MessageId, Messages, SendingContext, SendKey
from tallystick.domain.topics import TopicEvent, TopicId


class MemoryMessages(Messages):
    """Messages of one view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def sending_context(self, keys: Collection[SendKey]) -> SendingContext:
        context = SendingContext({}, {}, set())
        for key in keys:
            user, member = self._view.users.get(key.sender_id), self._view.members.get(key.member)
            sent = self._view.sent.get(key)
            if user is not None and user.deleted_at is not None:
                context.deleted.add(key.sender_id)
            if member is not None:
                context.members[key.member] = member
            message = self._view.messages.get(sent) if sent is not None else None
            if message is not None:
                context.sent[key] = message
        return context

    async def send(self, messages: Sequence[tuple[Message, TopicEvent]]) -> None:
        await MemoryTopics(self._view).append([event for _, event in messages])
        for message, _ in messages:
            key = SendKey(message.channel_id, message.sender_id, message.client_message_id)
            if key in self._view.sent or message.message_id in self._view.message_numbers:
                raise ConstraintViolated("messages_sent_once or messages_message_id_key")
            if message.body is None or not 1 <= len(message.body) <= MAX_MESSAGE_LENGTH:
                raise ConstraintViolated("messages_body_bounded")
            number = (message.channel_id, message.seq)
            self._view.messages.put(number, message)
            self._view.sent.put(key, number)
            self._view.message_numbers.put(message.message_id, number)
            member = self._view.members.get(key.member)
            if member is not None:
                self._view.members.put(key.member, msgspec.structs.replace(member, read_seq=message.seq))

    async def find(self, message_ids: Collection[MessageId]) -> dict[MessageId, Message]:
        found = {}
        for message_id in message_ids:
            number = self._view.message_numbers.get(message_id)
            message = self._view.messages.get(number) if number is not None else None
            if message is not None:
                found[message_id] = message
        return found

    async def delete(self, messages: Sequence[tuple[Message, TopicEvent]]) -> None:
        await MemoryTopics(self._view).append([event for _, event in messages])
        for message, _ in messages:
            if message.body is not None or message.deleted_at is None:
                raise ConstraintViolated("messages_deleted_are_empty")
            self._view.messages.put((message.channel_id, message.seq), message)

    async def page(
        self, channel_id: ChannelId, *, before: int | None, since: datetime | None, limit: int
    ) -> list[Message]:
        found = [each for each in self._of(channel_id, since) if before is None or each.seq < before]
        return sorted(found, key=lambda message: -message.seq)[:limit]

    async def page_after(
        self, channel_id: ChannelId, *, after: int, since: datetime | None, limit: int
    ) -> list[Message]:
        found = [each for each in self._of(channel_id, since) if each.seq > after]
        return sorted(found, key=lambda message: message.seq)[:limit]

    def _of(self, channel_id: ChannelId, since: datetime | None) -> Iterator[Message]:
        for message in self._view.messages.values():
            if message.channel_id == channel_id and (since is None or message.created_at > since):
                yield message

    async def of_sender(self, key: MemberKey, *, after: str, limit: int) -> list[Message]:
        found = [
            message
            for message in self._view.messages.values()
            if (message.channel_id, message.sender_id) == key and message.client_message_id > after
        ]
        return sorted(found, key=lambda message: message.client_message_id)[:limit]

    async def with_old_messages(self, channel_ids: Collection[ChannelId], *, before: datetime) -> list[ChannelId]:
        found = [message.channel_id for message in self._view.messages.values() if message.created_at < before]
        return sorted(set(found).intersection(channel_ids))

    async def forget(self, channel_id: ChannelId, *, before: datetime, limit: int) -> int:
        self._view.require_writable()
        if TopicId(channel_id) not in self._view.locked_topics:
            raise ConstraintViolated("messages are deleted under the lock of their topic")
        trimmed, _ = self._view.trimmed.get(TopicId(channel_id)) or (0, None)
        oldest = sorted(self._of(channel_id, None), key=lambda message: message.seq)[:limit]
        gone = [message for message in oldest if message.created_at < before and message.seq <= trimmed]
        for message in gone:
            self._view.messages.remove((channel_id, message.seq))
            self._view.message_numbers.remove(message.message_id)
            self._view.sent.remove(SendKey(channel_id, message.sender_id, message.client_message_id))
        return len(gone)
