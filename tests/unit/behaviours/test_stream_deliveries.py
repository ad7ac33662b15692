"""Deliveries to many streams of one topic: encoded once, and no more often than all else leaves room for."""

import asyncio
from datetime import timedelta

import pytest

from tallystick.application import stream_hub
from tallystick.application.stream_frames import Events
from tallystick.application.streams import Stream
from tests.worlds.streams import Streams, together
from tests.worlds.world import World


async def first_events(stream: Stream) -> Events:
    async for part in stream.parts():
        if isinstance(part, Events):
            return part
    raise AssertionError("the stream ended")


class TestDeliveries:
    async def test_streams_at_one_position_share_what_they_send(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada", "bob")
        readers = [await rooms.ready(user, channel) for user in ("ada", "bob", "ada")]
        message = await rooms.send(channel, "owner")

        parts = [await first_events(reader.stream) for reader in readers]

        assert parts[0] is parts[1] is parts[2]
        assert [position.partition(b"-")[0] for position, _ in parts[0].frames] == [b"%d" % message.seq]

    async def test_a_stream_of_several_topics_has_ids_of_its_own(self, world: World) -> None:
        rooms = Streams(world)
        one, two = await rooms.a_channel("ada"), await rooms.a_channel("ada")
        alone, both = await rooms.ready("ada", one), await rooms.ready("ada", one, two)
        message = await rooms.send(one, "owner")

        await together(alone, both, seq=message.seq)

        assert both.last_id.startswith(f"{alone.last_id},")

    async def test_a_stream_whose_caller_is_removed_ends_there_while_the_others_go_on(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada", "bob")
        ada, bob = await rooms.ready("ada", channel), await rooms.ready("bob", channel)
        removal = await rooms.remove(channel, "ada")
        message = await rooms.send(channel, "owner")

        await bob.until(message.seq)

        assert await ada.until_end() == "removed"
        assert (ada.seqs, bob.seqs) == ([removal.left_seq], [removal.left_seq, message.seq])

    async def test_after_a_slow_delivery_the_events_that_were_stored_meanwhile_arrive_together(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)
        monkeypatch.setattr(stream_hub, "_LONGEST_REST_SECONDS", 1.0)  # a busy machine must not end it first
        wake = Stream.wake

        def slowly(self: Stream) -> None:
            world.clock.move(timedelta(seconds=1))
            wake(self)

        monkeypatch.setattr(Stream, "wake", slowly)
        await rooms.send(channel, "owner", "one")
        await reader.until(3)
        reading = asyncio.create_task(reader.until(5))
        for body in ("two", "three"):
            await rooms.send(channel, "owner", body)
            for _ in range(20):  # enough to deliver it, if nothing rests
                await asyncio.sleep(0)
        before = list(reader.bodies)
        await reading

        assert (before, reader.bodies) == (["one"], ["one", "two", "three"])
        assert len(reader.sizes) == 2
