"""Streams over one backend: readers of channels, and what each of them received."""

import asyncio
from typing import Any

import msgspec

from tallystick.application.group_commit import Bounds, GroupCommit
from tallystick.application.reads import CallerState
from tallystick.application.stream_frames import Events, FramePages
from tallystick.application.stream_hub import Hub, StreamLimits
from tallystick.application.stream_placements import Placement, PlaceStreams, Start
from tallystick.application.streams import End, Heads, Part, Reset, Stream
from tallystick.domain.identity import Principal
from tallystick.domain.streams import EndReason
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.routes.frames import encode_frame
from tests.http.event_streams import PATIENCE_SECONDS
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

UNSEEN = StreamLimits(heartbeat_seconds=3600)
"""Heartbeats that no test sees."""


class Reader:
    """A client that reads a stream, and keeps what it received."""

    def __init__(self, hub: Hub, stream: Stream) -> None:
        self._hub, self.stream = hub, stream
        self._parts = stream.parts()
        self.last_id = ""
        self.seqs: list[int] = []
        self.bodies: list[str | None] = []
        self.payloads: list[object] = []
        self.sizes: list[int] = []
        """The bytes of the frames that were received at a time."""
        self.resets: list[Reset] = []
        self.heads: list[Heads] = []
        self.end: EndReason | None = None

    async def read(self) -> None:
        """Receive the next part. AssertionError where none comes."""
        match await self._next():
            case Events(frames=frames):
                self.sizes.append(sum(len(encoded) for _, encoded in frames))
                for position, encoded in frames:
                    data: dict[str, Any] = msgspec.json.decode(encoded.partition(b"data: ")[2])
                    self.last_id = position.decode()
                    self.seqs.append(data["seq"])
                    if "body" in data:
                        self.bodies.append(data["body"])
                    if "payload" in data:
                        self.payloads.append(data["payload"])
            case Heads() as heads:
                self.heads.append(heads)
                self.last_id = heads.position.decode()
            case Reset() as reset:
                self.resets.append(reset)
            case End(reason):
                self.end = reason
                self.close()

    async def _next(self) -> Part:
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                return await anext(self._parts)
        except TimeoutError:
            raise AssertionError(f"nothing came behind {self.seqs[-5:]} at {self.last_id!r}") from None

    async def until_ready(self) -> "Reader":
        while not self.heads:
            await self.read()
        return self

    async def until(self, seq: int) -> "Reader":
        while not self.seqs or self.seqs[-1] < seq:
            await self.read()
        return self

    async def until_end(self) -> EndReason:
        while self.end is None:
            await self.read()
        return self.end

    def close(self) -> None:
        """Go away, as a client whose connection is cut."""
        self._hub.close(self.stream)


class Streams(Rooms):
    """Channels of a world whose commits are announced to one hub."""

    def __init__(
        self,
        world: World,
        limits: StreamLimits = UNSEEN,
        *,
        is_announced: bool = True,
        place_streams: PlaceStreams | None = None,
    ) -> None:
        self.pages = FramePages(world.reads, encode_frame, world.metrics)

        async def check_caller(caller: Principal) -> CallerState:
            return (await world.check_callers([caller]))[0]

        placing: GroupCommit[Placement, list[Start]] = GroupCommit(
            place_streams or PlaceStreams(world.transactions),
            key=lambda _: 0,
            clock=world.clock,
            randomness=world.randomness,
            metrics=world.metrics,
            name="place_streams",
            bounds=Bounds(lanes=1),
        )
        self.hub = Hub(
            *(world.reads, self.pages, placing, check_caller),
            *(world.clock, world.randomness, world.metrics, limits),
        )
        super().__init__(world, announce=self.hub.changed if is_announced else lambda _: None)

    async def open(
        self, user: str, *channels: str, resume: str | None = None, caller: Principal | None = None
    ) -> Reader:
        stream = await self.hub.open(
            caller or Principal(UserId(user)), [TopicId(channel) for channel in channels], resume
        )
        return Reader(self.hub, stream)

    async def ready(self, user: str, *channels: str, resume: str | None = None) -> Reader:
        return await (await self.open(user, *channels, resume=resume)).until_ready()


async def together(*readers: Reader, seq: int) -> None:
    """Let readers read at the same time, each up to a number."""
    await asyncio.gather(*(reader.until(seq) for reader in readers))
