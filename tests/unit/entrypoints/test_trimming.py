"""Trimming: each hour once, by one instance of all, and by another one where the first was killed."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.retention import TrimLogs, Trimmed
from tallystick.application.work_lease import LEASE
from tallystick.domain.retention import Retention
from tallystick.entrypoints.worker.trimming import Trimming
from tests.worlds.memory import MemoryBackend
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

WEEK = Retention(timedelta(days=7), None)
Instance = Callable[[], Trimming]


class Killed(BaseException):
    """The process is gone."""


class DyingTrim(TrimLogs):
    """Trims the first step, and is killed."""

    async def steps(self) -> AsyncIterator[Trimmed]:
        async for step in super().steps():
            yield step
            if step != Trimmed():
                raise Killed


def trimming(world: World, kind: type[TrimLogs] = TrimLogs) -> Trimming:
    trim = kind(world.transactions, world.reads, world.clock, world.randomness, WEEK)
    return Trimming(world.transactions, trim, world.clock, world.randomness)


@pytest.fixture
async def world() -> World:
    world = World(MemoryBackend(MemoryTransactions(now=ManualClock().now)))
    assert await trimming(world).trim_if_due() is None  # known from now on, and due by the next hour
    for _ in range(2):
        await Rooms(world).a_channel()
    world.pass_time(days=7, seconds=1)
    return world


@pytest.fixture
def instance(world: World) -> Instance:
    return lambda: trimming(world)


async def test_of_several_instances_one_does_it_and_once_an_hour(world: World, instance: Instance) -> None:
    instances = [instance() for _ in range(3)]

    assert [await each.trim_if_due() for each in instances] == [Trimmed(events=2), None, None]

    hours = []
    for _ in range(12):
        world.pass_time(minutes=20)
        hours += [world.clock.now().hour for each in instances if await each.trim_if_due() is not None]
    assert len(hours) == len(set(hours)) == 4


async def test_work_that_a_killed_instance_began_is_taken_over_when_its_lease_has_ended(
    world: World, instance: Instance
) -> None:
    with pytest.raises(Killed):
        await trimming(world, DyingTrim).trim_if_due()

    world.pass_time(seconds=LEASE.total_seconds() - 1)
    assert await instance().trim_if_due() is None

    world.pass_time(seconds=1)
    assert await instance().trim_if_due() == Trimmed(events=1)


async def test_an_instance_that_lost_the_lease_goes_no_further(world: World, instance: Instance) -> None:
    class SlowTrim(TrimLogs):
        async def steps(self) -> AsyncIterator[Trimmed]:
            async for step in super().steps():
                world.pass_time(seconds=LEASE.total_seconds() + 1)
                taken_over.append(await instance().trim_if_due())
                yield step

    taken_over: list[Trimmed | None] = []

    assert await trimming(world, SlowTrim).trim_if_due() == Trimmed()
    assert taken_over == [Trimmed(events=2)]


async def test_a_long_run_keeps_its_lease(world: World, instance: Instance) -> None:
    class SlowTrim(TrimLogs):
        async def steps(self) -> AsyncIterator[Trimmed]:
            async for step in super().steps():
                world.pass_time(seconds=LEASE.total_seconds() * 0.6)
                assert await instance().trim_if_due() is None
                yield step

    assert await trimming(world, SlowTrim).trim_if_due() == Trimmed(events=2)
