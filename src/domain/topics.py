"""Topics: logs of events, each numbered by itself, so that a reader knows whether it has seen everything."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.users import UserId

TopicId = NewType("TopicId", str)

TopicKind = Literal["channel", "overlays"]
TopicEventKind = Literal[
    "message",
    "message_deleted",
    "member_added",
    "member_removed",
    "overlay_shown",
    "overlay_updated",
    "overlay_expired",
    "overlay_removed",
]


class Topic(msgspec.Struct, frozen=True):
    """A topic under its lock: the number of its last event, and the time of the next one."""

    topic_id: TopicId
    head: int
    at: datetime
    """The time of the store, never before the last event: within a topic, numbers and times have one order."""


class LogExtent(msgspec.Struct, frozen=True):
    """The events that the log of a topic has: those above `trimmed`, up to `head`."""

    topic_id: TopicId
    head: int
    trimmed: int
    """Events up to this number were deleted, because they were older than their retention."""
    trimmed_tag: str | None
    """The tag of the last event that was deleted: a reader who stands exactly at it has missed nothing."""


class TopicEvent(msgspec.Struct, frozen=True):
    """One event of a topic. Its number is one more than the number before it."""

    topic_id: TopicId
    seq: int
    event_id: str
    kind: TopicEventKind
    ref: str
    """The subject of the event: the id of a message, of a member, or a version of an overlay."""
    actor_id: UserId
    payload: str | None
    """Facts beyond the subject as a JSON object; never the text of a message, which can be deleted."""
    created_at: datetime


class TopicEventKey(NamedTuple):
    """One event by its topic and its number."""

    topic_id: TopicId
    seq: int


class TopicEventId(NamedTuple):
    """One event by its topic and its id."""

    topic_id: TopicId
    event_id: str


class Topics(Protocol):
    """Topics by id, and their events by number.

    The number of an event is taken under the lock of its topic, which is held until the commit: numbers have no gaps,
    and no reader can pass a number that a slower transaction may still fill.
    """

    async def add(self, topic_id: TopicId, kind: TopicKind) -> None:
        """Store a new topic without events; one that is there already stays."""

    async def lock(self, topic_ids: Collection[TopicId]) -> dict[TopicId, Topic]:
        """Lock and return the topics that exist, in key order. They come last in the order of locks."""

    async def append(self, events: Sequence[TopicEvent]) -> None:
        """Store events of locked topics in the order of their numbers, and advance the heads."""

    async def heads(self, topic_ids: Collection[TopicId]) -> dict[TopicId, int]:
        """Return the number of the last event of each topic that exists."""

    async def events(self, topic_id: TopicId, *, after: int, limit: int) -> list[TopicEvent]:
        """Return the first events whose number is above `after`, by number."""

    async def event_ids(self, keys: Collection[TopicEventKey]) -> dict[TopicEventKey, str]:
        """Return the ids of those of these events that the logs have."""

    async def find(self, event_ids: Collection[TopicEventId]) -> dict[TopicEventId, TopicEvent]:
        """Return those of these events that the logs have; events of messages are not found by their ids."""

    async def extents(self, topic_ids: Collection[TopicId]) -> dict[TopicId, LogExtent]:
        """Return which events the log of each topic that exists has."""

    async def page(self, *, after: str, limit: int) -> list[TopicId]:
        """Return the first topics whose id is above `after`, by id."""

    async def with_old_events(self, topic_ids: Collection[TopicId], *, before: datetime) -> list[TopicId]:
        """Return those of these topics that have an event from before a time, by id."""

    async def trim(self, topic_id: TopicId, *, before: datetime, limit: int) -> int:
        """Delete at most `limit` events of a locked topic, the oldest first, that are from before a time.

        Advance the start of the log in the same step, and return how many events were deleted.
        """
