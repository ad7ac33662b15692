"""Messages on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.topics import PostgresTopics
from tallystick.domain.channels import ChannelId, Member, MemberKey
from tallystick.domain.messages import Message, MessageId, Messages, SendingContext, SendKey
from tallystick.domain.topics import TopicEvent

_SQL = Statements.load("messages")


class PostgresMessages(Messages):
    """Rows of `messages`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def sending_context(self, keys: Collection[SendKey]) -> SendingContext:
        rows = await self._connection.fetch(
            _SQL.sending_context,
            [key.channel_id for key in keys],
            [key.sender_id for key in keys],
            [key.client_message_id for key in keys],
        )
        context = SendingContext({}, {}, set())
        for user_id, is_deleted, channel_id, role, joined, left, read, message_id, seq, client_id, *sent in rows:
            if is_deleted:
                context.deleted.add(user_id)
            if channel_id is not None:
                member = Member(channel_id, user_id, role, joined, left, read)
                context.members[MemberKey(channel_id, user_id)] = member
            if message_id is not None:
                message = Message(message_id, channel_id, seq, user_id, client_id, *sent)
                context.sent[SendKey(channel_id, user_id, client_id)] = message
        return context

    async def send(self, messages: Sequence[tuple[Message, TopicEvent]]) -> None:
        rows = [
            (
                each.message_id,
                each.channel_id,
                each.seq,
                each.sender_id,
                each.client_message_id,
                each.body,
                each.created_at,
                event.event_id,
            )
            for each, event in messages
        ]
        await self._connection.execute(_SQL.send, *zip(*rows, strict=True))

    async def find(self, message_ids: Collection[MessageId]) -> dict[MessageId, Message]:
        rows = await self._connection.fetch(_SQL.find, list(message_ids))
        return {row["message_id"]: Message(*row) for row in rows}

    async def delete(self, messages: Sequence[tuple[Message, TopicEvent]]) -> None:
        await PostgresTopics(self._connection).append([event for _, event in messages])
        await self._connection.execute(
            _SQL.delete,
            [message.channel_id for message, _ in messages],
            [message.seq for message, _ in messages],
            [message.deleted_at for message, _ in messages],
        )

    async def page(
        self, channel_id: ChannelId, *, before: int | None, since: datetime | None, limit: int
    ) -> list[Message]:
        rows = await self._connection.fetch(_SQL.page, channel_id, before, since, limit)
        return [Message(*row) for row in rows]

    async def page_after(
        self, channel_id: ChannelId, *, after: int, since: datetime | None, limit: int
    ) -> list[Message]:
        rows = await self._connection.fetch(_SQL.page_after, channel_id, after, since, limit)
        return [Message(*row) for row in rows]

    async def of_sender(self, key: MemberKey, *, after: str, limit: int) -> list[Message]:
        rows = await self._connection.fetch(_SQL.of_sender, key.channel_id, key.user_id, after, limit)
        return [Message(*row) for row in rows]

    async def with_old_messages(self, channel_ids: Collection[ChannelId], *, before: datetime) -> list[ChannelId]:
        rows = await self._connection.fetch(_SQL.with_old_messages, list(channel_ids), before)
        return [row["channel_id"] for row in rows]

    async def forget(self, channel_id: ChannelId, *, before: datetime, limit: int) -> int:
        return int(await self._connection.fetchval(_SQL.forget, channel_id, before, limit))
