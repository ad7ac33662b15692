"""Topics on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.topics import (
    LogExtent,
    Topic,
    TopicEvent,
    TopicEventId,
    TopicEventKey,
    TopicId,
    TopicKind,
    Topics,
)

_SQL = Statements.load("topics")


class PostgresTopics(Topics):
    """Rows of `topics` and `topic_events`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, topic_id: TopicId, kind: TopicKind) -> None:
        await self._connection.execute(_SQL.add, topic_id, kind)

    async def lock(self, topic_ids: Collection[TopicId]) -> dict[TopicId, Topic]:
        rows = await self._connection.fetch(_SQL.lock, list(topic_ids))
        return {row["topic_id"]: Topic(*row) for row in rows}

    async def append(self, events: Sequence[TopicEvent]) -> None:
        rows = [
            (
                each.topic_id,
                each.seq,
                each.event_id,
                each.kind,
                each.ref,
                each.actor_id,
                each.payload,
                each.created_at,
            )
            for each in events
        ]
        await self._connection.execute(_SQL.append, *zip(*rows, strict=True))

    async def heads(self, topic_ids: Collection[TopicId]) -> dict[TopicId, int]:
        rows = await self._connection.fetch(_SQL.heads, list(topic_ids))
        return {row["topic_id"]: row["head"] for row in rows}

    async def events(self, topic_id: TopicId, *, after: int, limit: int) -> list[TopicEvent]:
        return [TopicEvent(*row) for row in await self._connection.fetch(_SQL.events, topic_id, after, limit)]

    async def event_ids(self, keys: Collection[TopicEventKey]) -> dict[TopicEventKey, str]:
        rows = await self._connection.fetch(_SQL.event_ids, [key.topic_id for key in keys], [key.seq for key in keys])
        return {TopicEventKey(row["topic_id"], row["seq"]): row["event_id"] for row in rows}

    async def find(self, event_ids: Collection[TopicEventId]) -> dict[TopicEventId, TopicEvent]:
        rows = await self._connection.fetch(
            _SQL.find, [each.topic_id for each in event_ids], [each.event_id for each in event_ids]
        )
        return {TopicEventId(row["topic_id"], row["event_id"]): TopicEvent(*row) for row in rows}

    async def extents(self, topic_ids: Collection[TopicId]) -> dict[TopicId, LogExtent]:
        rows = await self._connection.fetch(_SQL.extents, list(topic_ids))
        return {row["topic_id"]: LogExtent(*row) for row in rows}

    async def page(self, *, after: str, limit: int) -> list[TopicId]:
        return [row["topic_id"] for row in await self._connection.fetch(_SQL.page, after, limit)]

    async def with_old_events(self, topic_ids: Collection[TopicId], *, before: datetime) -> list[TopicId]:
        rows = await self._connection.fetch(_SQL.with_old_events, list(topic_ids), before)
        return [row["topic_id"] for row in rows]

    async def trim(self, topic_id: TopicId, *, before: datetime, limit: int) -> int:
        return int(await self._connection.fetchval(_SQL.trim, topic_id, before, limit))
