"""Topics in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.overlays import ENDS
from tallystick.domain.streams import tag_of
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

_ONCE = frozenset({"message", "message_deleted", "overlay_expired"})


class MemoryTopics(Topics):
    """Topics and their events of one view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, topic_id: TopicId, kind: TopicKind) -> None:  # noqa: ARG002  memory holds one kind in one table
        self._view.require_writable()
        if topic_id not in self._view.topics:
            self._view.topics.put(topic_id, Topic(topic_id, 0, self._view.now()))

    async def lock(self, topic_ids: Collection[TopicId]) -> dict[TopicId, Topic]:
        found = (self._view.topics.get(topic_id) for topic_id in sorted(topic_ids))
        now = self._view.now()
        locked = {topic.topic_id: msgspec.structs.replace(topic, at=max(now, topic.at)) for topic in found if topic}
        self._view.locked_topics |= locked.keys()
        return locked

    async def append(self, events: Sequence[TopicEvent]) -> None:
        self._view.require_writable()
        for event in events:
            topic = self._view.topics.get(event.topic_id)
            if topic is None or event.topic_id not in self._view.locked_topics:
                raise ConstraintViolated("events are appended under the lock of their topic")
            if event.seq != topic.head + 1 or event.created_at < topic.at:
                raise ConstraintViolated("topic_events_pkey: numbers have no gaps, and times do not go back")
            # All ends of a version share one key.
            kind = "overlay_expired" if event.kind in ENDS else event.kind
            key = (event.topic_id, kind, event.ref)
            if kind in _ONCE:
                if key in self._view.events_once:
                    raise ConstraintViolated("topic_events_once or topic_events_end_once")
                self._view.events_once.put(key, event.seq)
            self._view.topic_events.put((event.topic_id, event.seq), event)
            self._view.topics.put(event.topic_id, Topic(event.topic_id, event.seq, event.created_at))

    async def heads(self, topic_ids: Collection[TopicId]) -> dict[TopicId, int]:
        found = (self._view.topics.get(topic_id) for topic_id in topic_ids)
        return {topic.topic_id: topic.head for topic in found if topic}

    async def events(self, topic_id: TopicId, *, after: int, limit: int) -> list[TopicEvent]:
        topic = self._view.topics.get(topic_id)
        first = max(after, self._trimmed(topic_id)[0]) + 1
        numbers = range(first, min(first + limit - 1, topic.head if topic else 0) + 1)
        found = (self._view.topic_events.get((topic_id, seq)) for seq in numbers)
        return [event for event in found if event]

    async def event_ids(self, keys: Collection[TopicEventKey]) -> dict[TopicEventKey, str]:
        found = ((key, self._view.topic_events.get(key)) for key in keys)
        return {key: event.event_id for key, event in found if event}

    async def find(self, event_ids: Collection[TopicEventId]) -> dict[TopicEventId, TopicEvent]:
        wanted = set(event_ids)
        kept = ((TopicEventId(event.topic_id, event.event_id), event) for event in self._view.topic_events.values())
        return {key: event for key, event in kept if key in wanted and event.kind != "message"}

    async def extents(self, topic_ids: Collection[TopicId]) -> dict[TopicId, LogExtent]:
        found = (self._view.topics.get(topic_id) for topic_id in topic_ids)
        return {
            topic.topic_id: LogExtent(topic.topic_id, topic.head, *self._trimmed(topic.topic_id))
            for topic in found
            if topic
        }

    async def page(self, *, after: str, limit: int) -> list[TopicId]:
        return sorted(topic.topic_id for topic in self._view.topics.values() if topic.topic_id > after)[:limit]

    async def with_old_events(self, topic_ids: Collection[TopicId], *, before: datetime) -> list[TopicId]:
        firsts = ((each, self._view.topic_events.get((each, self._trimmed(each)[0] + 1))) for each in topic_ids)
        return sorted(topic_id for topic_id, first in firsts if first is not None and first.created_at < before)

    async def trim(self, topic_id: TopicId, *, before: datetime, limit: int) -> int:
        self._view.require_writable()
        if topic_id not in self._view.locked_topics:
            raise ConstraintViolated("a log is trimmed under the lock of its topic")
        oldest = await self.events(topic_id, after=0, limit=limit)
        gone = [event for event in oldest if event.created_at < before]
        for event in gone:
            self._view.topic_events.remove((topic_id, event.seq))
            if event.kind in _ONCE:
                self._view.events_once.remove((topic_id, event.kind, event.ref))
        if gone:
            self._view.trimmed.put(topic_id, (gone[-1].seq, tag_of(gone[-1].event_id)))
        return len(gone)

    def _trimmed(self, topic_id: TopicId) -> tuple[int, str | None]:
        return self._view.trimmed.get(topic_id) or (0, None)
