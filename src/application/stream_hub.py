"""The hub of streams: one a process, which knows the heads of the topics that its streams read."""

import asyncio
from collections.abc import Collection, Sequence

import msgspec

from tallystick.application.group_commit import Single
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.reads import CallerState, Reads
from tallystick.application.stream_frames import FramePages
from tallystick.application.stream_placements import Placement, Start
from tallystick.application.streams import Feed, Stream
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Failure
from tallystick.domain.streams import EndReason, lifetime, spread
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId


class StreamLimits(msgspec.Struct, frozen=True):
    """The bounds of streams, in number and in time."""

    of_a_user: int = 10
    """One more ends the user's oldest stream, so that connections that nobody reads any more lock nobody out."""
    of_a_process: int = 10_000
    heartbeat_seconds: float = 20.0
    age_seconds: float = 3600.0
    look_seconds: float = 1.0
    """How often the heads of all topics that are read are compared with the stored ones."""

    @classmethod
    def within(cls, open_files: int) -> "StreamLimits":
        """Return the limits of a process that can open so many files; a quarter of them is kept for all else."""
        return cls(of_a_process=min(cls().of_a_process, open_files * 3 // 4))


_SHORTEST_REST_SECONDS, _LONGEST_REST_SECONDS = 0.001, 0.05


class StreamRefused(Exception):
    """No stream is opened now; the client may try again."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason)
        self.reason: EndReason = reason


class Hub:
    """The streams of this process, and the topics that they read."""

    def __init__(
        self,
        reads: Reads,
        pages: FramePages,
        place_stream: Single[Placement, list[Start]],
        check_caller: Single[Principal, CallerState],
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        limits: StreamLimits,
    ) -> None:
        self._reads, self._clock, self._randomness, self._limits = reads, clock, randomness, limits
        self._pages, self._place_stream = pages, place_stream
        self._check_caller, self._metrics = check_caller, metrics
        self._feeds: dict[TopicId, Feed] = {}
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
            await self._place(stream, resume)
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
        stream.close()
        self._count_streams(-1)
        if not own:
            del self._streams[stream.caller.user_id]
        for feed in stream.feeds:
            feed.streams.pop(stream, None)
            if not feed.streams and self._feeds.get(feed.topic_id) is feed:
                del self._feeds[feed.topic_id]

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
        stored = await self._reads(lambda stores: stores.topics.extents(known))
        for topic_id, head in known.items():
            feed, log = self._feeds.get(topic_id), stored.get(topic_id)
            if feed is None:
                continue
            if (log.head if log is not None else 0) < head:  # the database is an older one than before
                del self._feeds[topic_id]  # streams that are opened now are sent nothing of the lost log
                feed.end("restored")
            elif log is not None:  # the log of overlays begins with the first of them
                feed.trim(log.trimmed)
                if feed.head is None or log.head > feed.head:
                    self._read_on(feed)

    def drain(self) -> None:
        """End every stream, and open none any more."""
        self._is_draining = True
        for own in self._streams.values():
            for stream in own:
                stream.end("draining")

    def _register(self, caller: Principal, topic_ids: Sequence[TopicId]) -> Stream:
        """Let a stream hear of its topics before anything is read, so that no event falls in between."""
        feeds = [self._feeds.setdefault(topic_id, Feed(topic_id)) for topic_id in topic_ids]
        heartbeat = spread(self._limits.heartbeat_seconds, self._randomness.fraction())
        stream = Stream(
            caller,
            feeds,
            heartbeat_seconds=heartbeat,
            pages=self._pages,
            check_caller=self._check_caller,
            start_again=self._start_again,
            metrics=self._metrics,
        )
        age = spread(self._limits.age_seconds, self._randomness.fraction())
        ends_at = caller.token_ends_at
        stream.end_after(*lifetime(age, ends_at - self._clock.now().timestamp() if ends_at is not None else None))
        own = self._streams.setdefault(caller.user_id, {})
        own[stream] = None
        self._count_streams(1)
        living = [each for each in own if not each.is_ending]
        for oldest in living[: max(0, len(living) - self._limits.of_a_user)]:
            oldest.end("too_many_streams")
        for feed in feeds:
            feed.streams[stream] = None
        return stream

    def _count_streams(self, change: int) -> None:
        self._count += change
        self._metrics.gauge("open_streams", self._count)

    async def _place(self, stream: Stream, resume: str | None) -> None:
        topic_ids = tuple(feed.topic_id for feed in stream.feeds)
        starts = await self._place_stream(Placement(stream.caller.user_id, topic_ids, resume))
        for index, start in enumerate(starts):
            stream.start(index, start)
            self._learn(stream.feeds[index], start.head)

    async def _start_again(self, caller: Principal, feed: Feed, position: str) -> Start:
        """Return where a stream goes on whose position is not followed by the events that its topic has."""
        (start,) = await self._place_stream(Placement(caller.user_id, (feed.topic_id,), position))
        self._learn(feed, start.head)
        return start

    def _learn(self, feed: Feed, head: int) -> None:
        if feed.head is None:
            feed.head = head
            if feed.has_news:
                self._read_on(feed)
        elif head > feed.head:
            self._read_on(feed)

    async def _deliver(self, feed: Feed) -> None:
        """Wake the streams of a topic, and rest for as long as that took: all else gets half of the time.

        Events that are stored meanwhile are delivered together, which costs a stream no more than one of them.
        """
        began = self._clock.monotonic()
        for stream in feed.streams:
            stream.wake()
        for _ in range(2):  # in the first iteration of the event loop the streams run, in the second their writes
            await asyncio.sleep(0)
        took = self._clock.monotonic() - began
        if took >= _SHORTEST_REST_SECONDS:
            await asyncio.sleep(min(took, _LONGEST_REST_SECONDS))

    def _read_on(self, feed: Feed) -> None:
        feed.has_news = True
        if feed.reading is None and feed.head is not None:
            feed.reading = asyncio.create_task(self._read_news(feed))

    async def _read_news(self, feed: Feed) -> None:
        try:
            while feed.has_news and feed.streams and feed.head is not None:
                feed.has_news = False
                while frames := await self._pages.fresh(feed.topic_id, feed.head):
                    feed.ring.extend(frames)
                    feed.head = frames[-1].seq
                    await self._deliver(feed)
        except Failure:  # the next look finds the head
            pass
        finally:
            feed.reading = None
