"""Logs that are trimmed while others write to them and read them: nothing is lost but what is old."""

import asyncio

import pytest

from tallystick.application import retention
from tests.integration.races.purses import in_waves
from tests.worlds.retention import extent, trim
from tests.worlds.rooms import Rooms
from tests.worlds.streams import Streams
from tests.worlds.world import World

WRITERS = 4
EACH = 50


async def test_a_log_that_is_trimmed_by_two_while_others_write_keeps_its_promises(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 3)
    rooms = Rooms(world)
    channel = await rooms.a_channel()
    old = [await rooms.send(channel, "owner", f"old {number}") for number in range(50)]

    async def write(writer: int) -> int:
        return len([await rooms.send(channel, "owner", f"{writer} {number}") for number in range(EACH)])

    trimmed = asyncio.gather(*(trim(world, channel, to=old[-1].seq) for _ in range(2)))
    await in_waves(write, range(WRITERS), together=WRITERS)
    counts = await trimmed

    assert sum(count.events for count in counts) == old[-1].seq
    log = await extent(world, channel)
    assert (log.head, log.trimmed) == (old[-1].seq + WRITERS * EACH, old[-1].seq)
    assert [event.seq for event in await rooms.events(channel)] == list(range(log.trimmed + 1, log.head + 1))
    assert await world.broken_promises() == []


async def test_readers_of_a_log_that_is_trimmed_receive_each_event_or_a_reset(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "STEP_ROWS", 3)
    rooms = Streams(world)
    channel = await rooms.a_channel()
    for number in range(100):
        await rooms.send(channel, "owner", f"{number}")

    async def follow(first: int) -> tuple[list[int], int]:
        """Return the numbers that a reader received, and the last one that it was not given."""
        reader = await rooms.open("owner", channel, resume=f"{first}")
        await reader.until_ready()
        reader.close()
        return reader.seqs, reader.resets[-1].head if reader.resets else first

    readers = asyncio.gather(*(follow(first) for first in range(0, 100, 12)))
    await trim(world, channel, to=90)

    for seqs, skipped in await readers:
        assert seqs[len(seqs) - (101 - skipped) :] == list(range(skipped + 1, 102))
        assert seqs == sorted(set(seqs))
    assert world.metrics.total("event_gaps") == 0
