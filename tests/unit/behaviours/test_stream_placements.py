"""Placements of streams: those that open at the same time are placed together, each as if it were alone."""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

from tallystick.adapters.telemetry.store_calls import MeasuredTransactions
from tallystick.application.stream_hub import StreamLimits
from tallystick.application.stream_placements import Placement, PlaceStreams, Start
from tallystick.application.tracing import SILENT
from tallystick.domain.channels import ChannelNotFound, NotAMember
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicId
from tests.worlds.streams import Reader, Streams
from tests.worlds.world import World

MANY = 60
LIMITS = StreamLimits(of_a_user=MANY, heartbeat_seconds=3600)
Places: TypeAlias = list[list[Start] | Failure]


class HeldPlacements(PlaceStreams):
    """Placements whose first read is held until the test says so; their sizes are noted."""

    def __init__(self, world: World) -> None:
        super().__init__(world.transactions)
        self.sizes: list[int] = []
        self.has_read, self.may_answer = asyncio.Event(), asyncio.Event()

    async def __call__(self, placements: Sequence[Placement]) -> Places:
        self.sizes.append(len(placements))
        places = await super().__call__(placements)
        self.has_read.set()
        await self.may_answer.wait()
        return places


class TestPlacements:
    async def test_streams_that_open_while_others_are_placed_are_placed_together(self, world: World) -> None:
        held = HeldPlacements(world)
        rooms = Streams(world, LIMITS, place_streams=held)
        channels = [await rooms.a_channel("ada") for _ in range(3)]
        first = asyncio.create_task(rooms.open("ada", channels[0]))
        await held.has_read.wait()

        others = asyncio.gather(*(rooms.open("ada", channels[n % 3], resume="0") for n in range(1, MANY)))
        await asyncio.sleep(0)
        held.may_answer.set()
        readers = [await first, *await others]

        assert held.sizes == [1, MANY - 1]
        await asyncio.gather(*(reader.until_ready() for reader in readers))
        assert [reader.seqs for reader in readers] == [[]] + [[1, 2]] * (MANY - 1)

    async def test_an_event_between_a_placement_and_its_answer_arrives(self, world: World) -> None:
        held = HeldPlacements(world)
        rooms = Streams(world, place_streams=held)
        channel = await rooms.a_channel("ada")
        opening = asyncio.create_task(rooms.open("ada", channel))
        await held.has_read.wait()
        message = await rooms.send(channel, "owner")
        held.may_answer.set()

        reader = await (await opening).until(message.seq)

        assert reader.seqs == [message.seq]

    async def test_each_stream_is_refused_or_placed_by_itself(self, world: World) -> None:
        held = HeldPlacements(world)
        rooms = Streams(world, place_streams=held)
        channel, other = await rooms.a_channel("ada", "bob"), await rooms.a_channel("ada")
        await rooms.remove(channel, "bob")
        held.may_answer.set()

        outcomes = await asyncio.gather(
            rooms.open("bob", channel),
            rooms.open("eve", channel),
            rooms.open("bob", channel, other),
            rooms.open("ada", channel, "nothing"),
            rooms.open("ada", channel, other, resume="3,9-00000000"),
            rooms.open("ada", channel),
            return_exceptions=True,
        )

        assert held.sizes == [6]
        assert [type(each) for each in outcomes] == [
            *(NotAMember, ChannelNotFound, NotAMember, ChannelNotFound),
            *(Reader, Reader),
        ]
        two, one = [await each.until_ready() for each in outcomes if isinstance(each, Reader)]
        assert (two.seqs, [reset.topic_id for reset in two.resets]) == ([4], [TopicId(other)])
        assert (one.seqs, one.resets) == ([], [])

    async def test_one_foreign_position_resets_its_topic_and_the_others_go_on(self, world: World) -> None:
        rooms = Streams(world)
        channels = [await rooms.a_channel("ada") for _ in range(3)]
        reader = await rooms.ready("ada", *channels)
        reader.close()
        for channel in channels:
            await rooms.send(channel, "owner", "missed")
        first, foreign, last = reader.last_id.split(",")

        again = await rooms.ready("ada", *channels, resume=f"{first},2-00000000,{last}")
        for channel in channels:
            await rooms.send(channel, "owner", "live")
        while len(again.bodies) < 5:
            await again.read()

        assert foreign != "2-00000000"
        assert [tuple(reset) for reset in again.resets] == [(channels[1], "forked", 3)]
        assert again.bodies == ["missed", "missed", "live", "live", "live"]
        whole = await rooms.ready("ada", *channels, resume=again.last_id)
        assert (whole.seqs, whole.resets) == ([], [])

    async def test_streams_that_open_at_once_cost_three_statements(self, world: World) -> None:
        measured = PlaceStreams(MeasuredTransactions(world.transactions, world.metrics, SILENT))
        rooms = Streams(world, LIMITS, place_streams=measured)
        channels = [await rooms.a_channel("ada") for _ in range(3)]

        readers = await asyncio.gather(*(rooms.open("ada", *channels, resume="0,1,2") for _ in range(MANY)))

        calls = {label: len(seconds) for (name, label), seconds in world.metrics.values.items() if "store" in name}
        assert calls == dict.fromkeys(
            (
                *("transactions.reading", "topics.extents", "channels.members", "topics.event_ids"),
                "transactions.release",
            ),
            1,
        )
        assert [(await reader.until_ready()).seqs for reader in readers] == [[1, 2, 2]] * MANY
