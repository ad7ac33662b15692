"""Topics inside a transaction: locked, and their next numbers, kept current while a batch is decided."""

from collections.abc import Callable, Collection
from datetime import datetime
from typing import NamedTuple

import msgspec

from tallystick.application.ports import Randomness
from tallystick.application.transactions import Stores
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.topics import Topic, TopicEvent, TopicEventKind, TopicId
from tallystick.domain.users import UserId

AnnounceTopics = Callable[[Collection[TopicId]], None]
"""Says which topics have new events, once these are committed."""


class Appending(NamedTuple):
    """How the erasers of one step append events: with this randomness, and they add the topics that they changed."""

    randomness: Randomness
    changed: set[TopicId]


def announce_nothing(_topic_ids: Collection[TopicId]) -> None:
    """Announce nothing: no stream is read beside these commits."""


class TopicBatch:
    """The locked topics of a batch. They are the last thing that a transaction locks."""

    def __init__(self, topics: dict[TopicId, Topic], randomness: Randomness) -> None:
        self._topics, self._randomness = topics, randomness

    @classmethod
    async def lock(cls, stores: Stores, topic_ids: Collection[TopicId], randomness: Randomness) -> "TopicBatch":
        """Lock the topics that exist."""
        return cls(await stores.topics.lock(topic_ids) if topic_ids else {}, randomness)

    def __contains__(self, topic_id: TopicId) -> bool:
        return topic_id in self._topics

    def at(self, topic_id: TopicId) -> datetime:
        """Return the time of the next events of a locked topic, by the clock of the store."""
        return self._topics[topic_id].at

    def head(self, topic_id: TopicId) -> int:
        """Return the number of the last event of a locked topic."""
        return self._topics[topic_id].head

    def next_event(
        self,
        topic_id: TopicId,
        kind: TopicEventKind,
        ref: str,
        *,
        actor_id: UserId,
        payload: str | None = None,
        event_id: str | None = None,
    ) -> TopicEvent:
        """Return the next event of a locked topic; it is for the caller to store it in the order of the numbers.

        An `event_id` that was made before the transaction lets a retry find its own event.
        """
        topic = self._topics[topic_id]
        event = TopicEvent(
            topic_id=topic_id,
            seq=topic.head + 1,
            event_id=event_id or uuid_v7(topic.at, self._randomness.bytes(RANDOM_BYTES)),
            kind=kind,
            ref=ref,
            actor_id=actor_id,
            payload=payload,
            created_at=topic.at,
        )
        self._topics[topic_id] = msgspec.structs.replace(topic, head=event.seq)
        return event
