"""Logs that are trimmed while others write to them and read them: nothing is lost but what is old."""

import asyncio
import contextvars
from datetime import timedelta

import pytest

from tallystick.application import retention
from tallystick.domain.topics import TopicId
from tests.integration.postgres.sessions import Session
from tests.integration.races.purses import in_waves
from tests.integration.races.waiting import until_waiting_or_done
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


async def test_a_step_that_waited_for_another_begins_where_that_ended(
    world: World, superuser: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the lock, it would delete what is gone, and move the start of the log back."""
    monkeypatch.setattr(retention, "STEP_ROWS", 3)
    rooms = Rooms(world)
    channel = await rooms.a_channel()
    old = [await rooms.send(channel, "owner", f"old {number}") for number in range(10)]
    before = old[-1].created_at + timedelta(microseconds=1)
    outside = contextvars.copy_context()  # of the transaction: none may begin inside another

    async with world.transactions.begin() as stores:
        await stores.topics.lock([TopicId(channel)])
        assert await stores.topics.trim(TopicId(channel), before=before, limit=6) == 6
        trimming = asyncio.create_task(trim(world, channel, to=old[-1].seq), context=outside)
        await until_waiting_or_done(superuser, trimming)

    assert (await trimming).events == old[-1].seq - 6
    log = await extent(world, channel)
    assert (log.head, log.trimmed) == (old[-1].seq, old[-1].seq)
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
