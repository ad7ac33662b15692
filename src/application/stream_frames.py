"""Frames of streams: the events of a topic, encoded once for every reader, and the newest of them kept in memory."""

import asyncio
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence

import msgspec

from tallystick.application.ports import Metrics
from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores
from tallystick.domain.messages import Message, MessageId
from tallystick.domain.overlays import OVERLAYS, ShownOverlay, sessions_begun, shown_by
from tallystick.domain.streams import tag_of
from tallystick.domain.topics import TopicEvent, TopicEventKind, TopicId

PAGE_FRAMES = 200
RING_FRAMES = 256
RING_BYTES = 1024 * 1024
"""The most that a topic keeps in memory, where its frames are large."""
MOST_BYTES = 128 * 1024
"""The most that a stream sends at a time, unless one frame is larger: a client who does not read holds no more."""
_READS_AT_ONCE = 4

Subject = Message | ShownOverlay
"""The subject of an event, as it is stored now."""
EncodeFrame = Callable[[TopicEvent, Subject | None], bytes]


class Frame(msgspec.Struct, frozen=True):
    """One event as streams send it, without the id, which differs by the topics of a stream."""

    seq: int
    position: bytes
    """The number and the tag of the event."""
    kind: TopicEventKind
    ref: str
    encoded: bytes
    is_fleeting: bool = False
    """True where the frame holds what ends by itself: it is read again for each delivery, and not kept."""


class Events(msgspec.Struct):
    """Frames of one topic, each with the id of the stream behind it."""

    frames: list[tuple[bytes, bytes]]
    encoded: bytes | None = None
    """All of them as they are sent, kept by the first stream that sends them."""


class FrameRun:
    """Frames that follow each other. Streams that are at one position share a run, and what they send of it."""

    __slots__ = ("_events", "frames", "removed")

    def __init__(self, frames: Sequence[Frame]) -> None:
        self.frames = frames
        self.removed = frozenset(frame.ref for frame in frames if frame.kind == "member_removed")
        self._events: Events | None = None

    def events(self) -> Events:
        """Return the frames as streams of this topic alone send them."""
        if self._events is None:
            self._events = Events([(frame.position, frame.encoded) for frame in self.frames])
        return self._events


class FrameRing:
    """The newest frames of a topic, without gaps."""

    def __init__(self) -> None:
        self._frames: deque[Frame] = deque()
        self._bytes = 0
        self._last_run: tuple[int, FrameRun] | None = None
        """The run that was returned last, and the number that it is above."""

    def extend(self, frames: Sequence[Frame]) -> None:
        """Add the frames that follow. Frames of messages that these delete are dropped with all before them."""
        self._last_run = None
        for frame in frames:
            if self._frames and frame.seq != self._frames[-1].seq + 1:
                self._clear()
            if frame.kind == "message_deleted":
                self._forget(frame.ref)
            if frame.is_fleeting:
                self._clear()
                continue
            self._frames.append(frame)
            self._bytes += len(frame.encoded)
            while len(self._frames) > RING_FRAMES or self._bytes > RING_BYTES:
                self._drop_oldest()

    def after(self, seq: int) -> FrameRun | None:
        """Return the first frames above a number; None where the ring does not reach back to it."""
        if self._last_run is not None and self._last_run[0] == seq:
            return self._last_run[1]
        if not self._frames or seq + 1 < self._frames[0].seq:
            return None
        first = seq + 1 - self._frames[0].seq
        last = min(first + PAGE_FRAMES, len(self._frames))
        run = FrameRun(_bounded(self._frames[index] for index in range(first, last)))
        self._last_run = seq, run
        return run

    def reach_back(self, frames: Sequence[Frame], head: int) -> None:
        """Add frames that come before the oldest; those up to the head where there are none.

        A message that a frame of the ring deletes is left out with all before it: it may have been read before. So is
        a frame that holds what ends by itself.
        """
        oldest = self._frames[0].seq if self._frames else head + 1
        if not frames[0].seq < oldest <= frames[-1].seq + 1:
            return
        deleted = {frame.ref for frame in self._frames if frame.kind == "message_deleted"}
        for frame in reversed(frames[: oldest - frames[0].seq]):
            is_deleted = frame.kind == "message" and frame.ref in deleted
            is_full = len(self._frames) == RING_FRAMES or self._bytes + len(frame.encoded) > RING_BYTES
            if is_deleted or frame.is_fleeting or is_full:
                return
            self._frames.appendleft(frame)
            self._bytes += len(frame.encoded)

    def drop(self, seq: int) -> None:
        """Drop the frames up to a number."""
        self._last_run = None
        while self._frames and self._frames[0].seq <= seq:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        self._bytes -= len(self._frames.popleft().encoded)

    def _clear(self) -> None:
        self._frames.clear()
        self._bytes = 0

    def _forget(self, message_id: str) -> None:
        seqs = [frame.seq for frame in self._frames if frame.kind == "message" and frame.ref == message_id]
        if seqs:
            self.drop(seqs[0])


class FramePages:
    """Reads pages of frames. The readers who ask for one page while it is read share it."""

    def __init__(self, reads: Reads, encode: EncodeFrame, metrics: Metrics) -> None:
        self._reads, self._encode, self._metrics = reads, encode, metrics
        self._shared: dict[tuple[TopicId, int], asyncio.Task[list[Frame]]] = {}
        self._live, self._catching_up = asyncio.Semaphore(_READS_AT_ONCE), asyncio.Semaphore(_READS_AT_ONCE)

    async def fresh(self, topic_id: TopicId, after: int) -> list[Frame]:
        """Return the first frames above a number, by a read that begins now; Overloaded as by any read."""
        async with self._live:
            return await self._read(topic_id, after)

    async def shared(self, topic_id: TopicId, after: int) -> list[Frame]:
        """Return the first frames above a number, maybe of a read that began before; Overloaded as by any read."""
        key = topic_id, after
        task = self._shared.get(key)
        if task is None:
            task = self._shared[key] = asyncio.create_task(self._catch_up(topic_id, after))
            task.add_done_callback(lambda done: self._forget(key, done))
        # One reader who leaves takes the page from no other.
        return await asyncio.shield(task)

    def _forget(self, key: tuple[TopicId, int], done: asyncio.Task[list[Frame]]) -> None:
        del self._shared[key]
        if not done.cancelled():
            done.exception()  # seen by the readers, unless all of them left

    async def _catch_up(self, topic_id: TopicId, after: int) -> list[Frame]:
        async with self._catching_up:
            return await self._read(topic_id, after)

    async def _read(self, topic_id: TopicId, after: int) -> list[Frame]:
        async def ask(stores: Stores) -> list[Frame]:
            events = await stores.topics.events(topic_id, after=after, limit=PAGE_FRAMES)
            await self._count_gap(stores, topic_id, after, events)
            # Behind the events: a text that was deleted since, or an overlay that has ended, is not read.
            if topic_id == OVERLAYS:
                shown = await stores.overlays.shown(sessions_begun(events))
                return [self._frame(event, shown_by(event, shown)) for event in events]
            messages = await stores.messages.find(_messages_of(events))
            return [self._frame(event, messages.get(MessageId(event.ref))) for event in events]

        return _bounded(await self._reads(ask))

    async def _count_gap(self, stores: Stores, topic_id: TopicId, after: int, events: Sequence[TopicEvent]) -> None:
        """Count a page in which numbers are missing, unless the log was trimmed by them."""
        if not events:
            return
        first = events[0].seq
        is_dense = [event.seq for event in events] == list(range(first, first + len(events)))
        if is_dense and first > after + 1:
            is_dense = first <= (await stores.topics.extents([topic_id]))[topic_id].trimmed + 1
        if not is_dense:
            self._metrics.count("event_gaps")

    def _frame(self, event: TopicEvent, subject: Subject | None) -> Frame:
        position = f"{event.seq}-{tag_of(event.event_id)}".encode()
        is_fleeting = isinstance(subject, ShownOverlay)
        return Frame(event.seq, position, event.kind, event.ref, self._encode(event, subject), is_fleeting)


def _bounded(frames: Iterable[Frame]) -> list[Frame]:
    """Return the first frames, up to so many bytes; one frame at least."""
    taken: list[Frame] = []
    size = 0
    for frame in frames:
        size += len(frame.encoded)
        if taken and size > MOST_BYTES:
            break
        taken.append(frame)
    return taken


def _messages_of(events: Collection[TopicEvent]) -> set[MessageId]:
    return {MessageId(event.ref) for event in events if event.kind == "message"}
