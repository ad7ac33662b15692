"""Topics in memory."""

from collections.abc import Collection, Sequence

import msgspec

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.topics import Topic, TopicEvent, TopicId, TopicKind, Topics

_ONCE = frozenset({"message", "message_deleted"})


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
            key = (event.topic_id, event.kind, event.ref)
            if event.kind in _ONCE:
                if key in self._view.events_once:
                    raise ConstraintViolated("topic_events_once")
                self._view.events_once.put(key, event.seq)
            self._view.topic_events.put((event.topic_id, event.seq), event)
            self._view.topics.put(event.topic_id, Topic(event.topic_id, event.seq, event.created_at))

    async def heads(self, topic_ids: Collection[TopicId]) -> dict[TopicId, int]:
        found = (self._view.topics.get(topic_id) for topic_id in topic_ids)
        return {topic.topic_id: topic.head for topic in found if topic}

    async def events(self, topic_id: TopicId, *, after: int, limit: int) -> list[TopicEvent]:
        topic = self._view.topics.get(topic_id)
        numbers = range(after + 1, min(after + limit, topic.head if topic else 0) + 1)
        found = (self._view.topic_events.get((topic_id, seq)) for seq in numbers)
        return [event for event in found if event]
