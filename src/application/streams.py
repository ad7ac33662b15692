"""Streams: what members read live. One hub a process knows the heads of the topics that its streams read.

A stream holds a position and no queue: what is above the position comes from the ring of the topic, or from the store.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from tallystick.application.group_commit import Single
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.reads import CallerState, Reads
from tallystick.application.stream_frames import Frame, FramePages, FrameRing
from tallystick.application.transactions import Stores
from tallystick.domain.channels import ChannelId, MemberKey, may_read
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Failure
from tallystick.domain.streams import EndReason, Position, ResetReason, read_positions, reset_reason, tag_of
from tallystick.domain.topics import TopicEvent, TopicId
from tallystick.domain.users import UserId

_ENDED_BY: Mapping[CallerState, EndReason] = {"deleted": "user_deleted", "signed_out": "signed_out"}


class StreamLimits(msgspec.Struct, frozen=True):
    """The bounds of streams, in number and in time."""

    of_a_user: int = 10
    """One more ends the user's oldest stream, so that connections that nobody reads any more lock nobody out."""
    of_a_process: int = 10_000
    heartbeat_seconds: float = 20.0
    age_seconds: float = 3600.0
    look_seconds: float = 1.0
    """How often the heads of all topics that are read are compared with the stored ones."""


class StreamRefused(Exception):
    """No stream is opened now; the client may try again."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason)
        self.reason: EndReason = reason


class Reset(NamedTuple):
    """A topic whose reader has to load it again, up to the head."""

    topic_id: TopicId
    reason: ResetReason
    head: int


class Heads(NamedTuple):
    """The numbers up to which a stream has sent its topics, and the id that stands for them."""

    position: bytes
    by_topic: dict[TopicId, int]
    is_ready: bool
    """True where this says that everything above the heads will arrive; False where it is a heartbeat."""


class Events(NamedTuple):
    """Frames of one topic, each with the id of the stream behind it."""

    frames: list[tuple[bytes, bytes]]


class End(NamedTuple):
    """The last part of a stream."""

    reason: EndReason


class _Start(NamedTuple):
    """Where a stream begins in one topic, of which the caller was a member when `head` was its head."""

    seq: int
    tag: str | None
    head: int
    reset: ResetReason | None


Part = Reset | Heads | Events | End


class _Feed:
    """One topic that streams of this process read."""

    def __init__(self, topic_id: TopicId) -> None:
        self.topic_id = topic_id
        self.head: int | None = None
        self.ring = FrameRing()
        self.streams: dict[Stream, None] = {}
        self.has_news = False
        self.reading: asyncio.Task[None] | None = None

    def end(self, reason: EndReason) -> None:
        for stream in self.streams:
            stream.end(reason)


class Stream:
    """The topics that one caller reads over one connection."""

    def __init__(self, hub: "Hub", caller: Principal, feeds: Sequence[_Feed], heartbeat: float) -> None:
        self.hub, self.caller, self.feeds = hub, caller, feeds
        self._loop = asyncio.get_running_loop()
        self._heartbeat, self._beats_at = heartbeat, self._loop.time() + heartbeat
        self._seqs = [0] * len(feeds)
        self._positions = [b""] * len(feeds)
        self._member_at = [0] * len(feeds)
        self._resets: list[Reset] = []
        self._end: EndReason | None = None
        self._time_reason: EndReason = "aged"
        self._ends_at = float("inf")
        self._wake = asyncio.Event()

    def start(self, index: int, start: _Start) -> None:
        """Place the stream behind an event of one topic."""
        self._seqs[index], self._member_at[index] = start.seq, start.head
        self._positions[index] = (f"{start.seq}-{start.tag}" if start.tag is not None else f"{start.seq}").encode()
        if start.reset is not None:
            self._resets.append(Reset(self.feeds[index].topic_id, start.reset, start.head))

    def end_after(self, seconds: float, reason: EndReason) -> None:
        """End the stream in some time, whatever is sent until then."""
        self._ends_at, self._time_reason = self._loop.time() + seconds, reason

    def end(self, reason: EndReason) -> None:
        """End the stream before anything else is sent; the first reason stays."""
        self._end = self._end or reason
        self._wake.set()

    @property
    def is_ending(self) -> bool:
        """True once the stream was ended."""
        return self._end is not None

    def wake(self) -> None:
        """Look again at the topics."""
        self._wake.set()

    async def parts(self) -> AsyncIterator[Part]:
        """Yield what is to be sent, in its order, up to the end."""
        for reset in self._resets:
            yield reset
        is_ready = False
        while True:
            self._wake.clear()
            now = self._loop.time()
            if now >= self._ends_at:
                self.end(self._time_reason)
            is_due = now >= self._beats_at
            if is_due:
                self._beats_at = now + self._heartbeat
                await self._check_caller()
            sent = False
            for index in range(len(self.feeds)):
                frames = await self._above(index)
                if frames and self._end is None:
                    sent = True
                    yield self._events(index, frames)
            if self._end is not None:
                self.hub.metrics.count("stream_ends", label=self._end)
                yield End(self._end)
                return
            if sent:
                continue
            if not is_ready or is_due:
                yield self._heads(is_ready=not is_ready)
                is_ready = True
            await self._sleep()

    async def _above(self, index: int) -> list[Frame]:
        feed, seq = self.feeds[index], self._seqs[index]
        if feed.head is None or seq >= feed.head or self._end is not None:
            return []
        frames = feed.ring.after(seq)
        if frames is None:
            try:
                frames = await self.hub.pages.shared(feed.topic_id, seq)
            except Failure:
                self.end("busy")
                return []
        if frames and frames[0].seq != seq + 1:
            # The log was trimmed up to here: the id of a new stream finds out, and the client loads again.
            self.end("restored")
            return []
        return frames

    def _events(self, index: int, frames: Sequence[Frame]) -> Events:
        """Go on behind these frames, at most to the removal of the caller."""
        sent: list[tuple[bytes, bytes]] = []
        for frame in frames:
            self._seqs[index], self._positions[index] = frame.seq, frame.position
            sent.append((self._id(), frame.encoded))
            is_removal = frame.kind == "member_removed" and frame.ref == self.caller.user_id
            if is_removal and frame.seq > self._member_at[index]:
                self.end("removed")
                break
        return Events(sent)

    def _heads(self, *, is_ready: bool) -> Heads:
        by_topic = {feed.topic_id: seq for feed, seq in zip(self.feeds, self._seqs, strict=True)}
        return Heads(self._id(), by_topic, is_ready)

    def _id(self) -> bytes:
        return b",".join(self._positions)

    async def _check_caller(self) -> None:
        try:
            state = await self.hub.check_caller(self.caller)
        except Failure:  # the next heartbeat asks again
            return
        if state in _ENDED_BY:
            self.end(_ENDED_BY[state])

    async def _sleep(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(min(self._beats_at, self._ends_at)):
                await self._wake.wait()


class Hub:
    """The streams of this process, and the topics that they read."""

    def __init__(
        self,
        reads: Reads,
        pages: FramePages,
        check_caller: Single[Principal, CallerState],
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        limits: StreamLimits,
    ) -> None:
        self._reads, self._clock, self._randomness, self._limits = reads, clock, randomness, limits
        self.pages, self.check_caller, self.metrics = pages, check_caller, metrics
        self._feeds: dict[TopicId, _Feed] = {}
        self._streams: dict[UserId, dict[Stream, None]] = {}
        self._count = 0
        self._is_draining = False

    async def open(self, caller: Principal, topic_ids: Sequence[TopicId], resume: str | None) -> Stream:
        """Return a stream of these topics that goes on behind the id `resume`, else behind the heads.

        ChannelNotFound or NotAMember where the caller may not read one of them; StreamRefused where no stream can be
        opened now. Close the stream at its end.
        """
        if self._is_draining:
            raise StreamRefused("draining")
        if self._count >= self._limits.of_a_process:
            raise StreamRefused("busy")
        stream = self._register(caller, topic_ids)
        try:
            await self._place(stream, topic_ids, resume)
        except BaseException:
            self.close(stream)
            raise
        return stream

    def close(self, stream: Stream) -> None:
        """Forget a stream, and the topics that no stream reads any more."""
        own = self._streams.get(stream.caller.user_id, {})
        if stream not in own:
            return
        del own[stream]
        self._count -= 1
        if not own:
            del self._streams[stream.caller.user_id]
        for feed in stream.feeds:
            feed.streams.pop(stream, None)
            if not feed.streams:
                self._feeds.pop(feed.topic_id, None)

    def changed(self, topic_ids: Collection[TopicId]) -> None:
        """Look for new events of these topics."""
        for topic_id in topic_ids:
            feed = self._feeds.get(topic_id)
            if feed is not None:
                self._read_on(feed)

    async def look(self) -> None:
        """Compare the heads of all topics that are read with the stored ones. Overloaded as by any read."""
        known = {topic_id: feed.head for topic_id, feed in self._feeds.items() if feed.head is not None}
        if not known:
            return
        stored = await self._reads(lambda stores: stores.topics.heads(known))
        for topic_id, head in known.items():
            feed, now = self._feeds.get(topic_id), stored.get(topic_id, 0)
            if feed is None:
                continue
            if now < head:  # the database is an older one than before
                feed.end("restored")
            elif feed.head is None or now > feed.head:
                self._read_on(feed)

    def drain(self) -> None:
        """End every stream, and open none any more."""
        self._is_draining = True
        for own in self._streams.values():
            for stream in own:
                stream.end("draining")

    def _register(self, caller: Principal, topic_ids: Sequence[TopicId]) -> Stream:
        """Let a stream hear of its topics before anything is read, so that no event falls in between."""
        feeds = [self._feeds.setdefault(topic_id, _Feed(topic_id)) for topic_id in topic_ids]
        heartbeat = self._limits.heartbeat_seconds * (0.9 + 0.2 * self._randomness.fraction())
        stream = Stream(self, caller, feeds, heartbeat)
        age = self._limits.age_seconds * (0.9 + 0.2 * self._randomness.fraction())
        token = age if caller.token_ends_at is None else caller.token_ends_at - self._clock.now().timestamp()
        stream.end_after(min(age, token), "token_ended" if token < age else "aged")
        own = self._streams.setdefault(caller.user_id, {})
        own[stream] = None
        self._count += 1
        living = [each for each in own if not each.is_ending]
        for oldest in living[: max(0, len(living) - self._limits.of_a_user)]:
            oldest.end("too_many_streams")
        for feed in feeds:
            feed.streams[stream] = None
        return stream

    async def _place(self, stream: Stream, topic_ids: Sequence[TopicId], resume: str | None) -> None:
        asked = [None] * len(topic_ids) if resume is None else read_positions(resume, len(topic_ids))

        async def ask(stores: Stores) -> list[_Start]:
            heads = await stores.topics.heads(topic_ids)
            # Behind the heads: a removal up to a head is seen here, and one above it is an event of the stream.
            keys = [MemberKey(ChannelId(topic_id), stream.caller.user_id) for topic_id in topic_ids]
            members = await stores.channels.members(keys)
            for key in keys:
                may_read(members.get(key))
            return [
                await _start(stores, topic_id, heads[topic_id], position, is_new=resume is None)
                for topic_id, position in zip(topic_ids, asked, strict=True)
            ]

        for index, start in enumerate(await self._reads(ask)):
            stream.start(index, start)
            self._learn(stream.feeds[index], start.head)

    def _learn(self, feed: _Feed, head: int) -> None:
        if feed.head is None:
            feed.head = head
            if feed.has_news:
                self._read_on(feed)
        elif head > feed.head:
            self._read_on(feed)

    def _read_on(self, feed: _Feed) -> None:
        feed.has_news = True
        if feed.reading is None and feed.head is not None:
            feed.reading = asyncio.create_task(self._read_news(feed))

    async def _read_news(self, feed: _Feed) -> None:
        try:
            while feed.has_news and feed.streams and feed.head is not None:
                feed.has_news = False
                while frames := await self.pages.fresh(feed.topic_id, feed.head):
                    feed.ring.extend(frames)
                    feed.head = frames[-1].seq
                    for stream in feed.streams:
                        stream.wake()
        except Failure:  # the next look finds the head
            pass
        finally:
            feed.reading = None


async def _start(stores: Stores, topic_id: TopicId, head: int, position: Position | None, *, is_new: bool) -> _Start:
    seq = head if position is None else position.seq
    event = await _event(stores, topic_id, seq)
    reason = None if is_new else reset_reason(position, head, event)
    if reason is not None and seq != head:
        seq, event = head, await _event(stores, topic_id, head)
    return _Start(seq, tag_of(event.event_id) if event is not None else None, head, reason)


async def _event(stores: Stores, topic_id: TopicId, seq: int) -> TopicEvent | None:
    """Return the event of a number, if the topic has it."""
    found = await stores.topics.events(topic_id, after=seq - 1, limit=1) if seq > 0 else []
    return found[0] if found and found[0].seq == seq else None
