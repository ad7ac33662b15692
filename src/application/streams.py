"""Streams: the topics that a member reads live over one connection.

A stream holds a position and no queue: what is above the position comes from the ring of the topic, or from the store.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from tallystick.application.group_commit import Single
from tallystick.application.ports import Metrics
from tallystick.application.reads import CallerState
from tallystick.application.stream_frames import Events, FramePages, FrameRing, FrameRun
from tallystick.application.stream_placements import Start
from tallystick.domain.channels import ChannelNotFound, NotAMember
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Failure
from tallystick.domain.streams import EndReason, ResetReason
from tallystick.domain.topics import TopicId

_ENDED_BY: Mapping[CallerState, EndReason] = {"deleted": "user_deleted", "signed_out": "signed_out"}


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


class End(NamedTuple):
    """The last part of a stream."""

    reason: EndReason


Part = Reset | Heads | Events | End
StartAgain = Callable[[Principal, "Feed", str], Awaitable[Start]]
"""Returns where a caller's stream goes on in one topic, from the position that it has."""


class Feed:
    """One topic that streams of this process read."""

    def __init__(self, topic_id: TopicId) -> None:
        self.topic_id = topic_id
        self.head: int | None = None
        self.ring = FrameRing()
        self.streams: dict[Stream, None] = {}
        self.has_news = False
        self.reading: asyncio.Task[None] | None = None

    def trim(self, seq: int) -> None:
        """Forget the events up to a number, as the log has done, and go on behind them."""
        self.ring.drop(seq)
        if self.head is not None and self.head < seq:
            self.head = seq
            for stream in self.streams:
                stream.wake()

    def end(self, reason: EndReason) -> None:
        for stream in self.streams:
            stream.end(reason)


class Stream:
    """The topics that one caller reads over one connection."""

    def __init__(
        self,
        caller: Principal,
        feeds: Sequence[Feed],
        *,
        heartbeat_seconds: float,
        pages: FramePages,
        check_caller: Single[Principal, CallerState],
        start_again: StartAgain,
        metrics: Metrics,
    ) -> None:
        self.caller, self.feeds = caller, feeds
        self._pages, self._caller_state, self._metrics = pages, check_caller, metrics
        self._start_again = start_again
        self._loop = asyncio.get_running_loop()
        self._heartbeat, self._beats_at = heartbeat_seconds, self._loop.time() + heartbeat_seconds
        self._seqs = [0] * len(feeds)
        self._positions = [b""] * len(feeds)
        self._member_at = [0] * len(feeds)
        self._resets: list[Reset] = []
        self._end: EndReason | None = None
        self._time_reason: EndReason = "aged"
        self._ends_at = float("inf")
        self._wake = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None

    def start(self, index: int, start: Start) -> None:
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

    def close(self) -> None:
        """Wake up no more: nobody reads the parts."""
        if self._timer is not None:
            self._timer.cancel()

    @property
    def is_ending(self) -> bool:
        """True once the stream was ended."""
        return self._end is not None

    def wake(self) -> None:
        """Look again at the topics."""
        self._wake.set()

    async def parts(self) -> AsyncIterator[Part]:
        """Yield what is to be sent, in its order, up to the end."""
        is_ready = is_due = False
        while True:
            while self._resets:
                is_ready = False
                yield self._resets.pop(0)
            self._wake.clear()
            now = self._loop.time()
            if now >= self._ends_at:
                self.end(self._time_reason)
            if now >= self._beats_at:
                is_due = True  # until the heads are sent, which follow the events
                self._beats_at = now + self._heartbeat
                await self._check_caller()
            sent = False
            for index in range(len(self.feeds)):
                run = await self._above(index)
                if run is not None and self._end is None:
                    sent = True
                    yield self._events(index, run)
            if self._end is not None:
                self._metrics.count("stream_ends", label=self._end)
                yield End(self._end)
                return
            if sent or self._resets:
                continue
            if not is_ready or is_due:
                yield self._heads(is_ready=not is_ready)
                is_ready, is_due = True, False
            await self._sleep()

    async def _above(self, index: int) -> FrameRun | None:
        feed, seq = self.feeds[index], self._seqs[index]
        if feed.head is None or seq >= feed.head or self._end is not None:
            return None
        run = feed.ring.after(seq)
        if run is None:
            try:
                frames = await self._pages.shared(feed.topic_id, seq)
            except Failure:
                self.end("busy")
                return None
            if frames:  # those who come back after this one find them in the ring
                feed.ring.reach_back(frames, feed.head)
            run = FrameRun(frames)
        if not run.frames or run.frames[0].seq != seq + 1:
            await self._skip(index)
            return None
        return run

    async def _skip(self, index: int) -> None:
        """Go on at the head of a topic whose log was trimmed beyond the position, if the caller may still read it."""
        try:
            start = await self._start_again(self.caller, self.feeds[index], self._positions[index].decode())
        except (ChannelNotFound, NotAMember):
            self.end("removed")
        except Failure:
            self.end("busy")
        else:
            if start.reset == "trimmed":
                self.start(index, start)
            else:
                self.end("restored")

    def _events(self, index: int, run: FrameRun) -> Events:
        """Go on behind these frames, at most to the removal of the caller."""
        if len(self.feeds) == 1 and self.caller.user_id not in run.removed:
            self._seqs[index], self._positions[index] = run.frames[-1].seq, run.frames[-1].position
            return run.events()
        sent: list[tuple[bytes, bytes]] = []
        for frame in run.frames:
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
            state = await self._caller_state(self.caller)
        except Failure:  # the next heartbeat asks again
            return
        if state in _ENDED_BY:
            self.end(_ENDED_BY[state])

    async def _sleep(self) -> None:
        """Wait for news, and for the time of the next heartbeat or of the end.

        The timer outlives a wake: a time-out around each wait would cost more than sending a message does.
        """
        if self._timer is None:
            self._timer = self._loop.call_at(min(self._beats_at, self._ends_at), self._look_at_clock)
        await self._wake.wait()

    def _look_at_clock(self) -> None:
        self._timer = None
        self.wake()
