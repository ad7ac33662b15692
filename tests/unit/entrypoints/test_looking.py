"""Looking: at an interval once, by one instance of all, within a bounded time."""

import asyncio
from datetime import timedelta

import pytest

from tallystick.adapters.memory.stores.invariants import MemoryInvariants
from tallystick.application import invariant_looks
from tallystick.application.invariant_looks import LookAtPromises
from tallystick.application.invariants import PROMISES, CountedPart
from tallystick.application.reads import SlowReads
from tallystick.application.work_lease import LEASE
from tallystick.entrypoints.worker.looking import NAME, LookAtInvariants
from tests.unit.adapters.test_memory_invariants import BREAKING, furnish
from tests.worlds.world import World

HOUR = 3600


def looking(world: World, *, every_seconds: int = HOUR) -> LookAtInvariants:
    reads = SlowReads(world.transactions, world.randomness)
    look = LookAtPromises(reads, world.transactions, world.clock, world.randomness, world.metrics)
    return LookAtInvariants(
        world.transactions, look, world.clock, world.randomness, world.metrics, every_seconds=every_seconds
    )


def measured(world: World) -> dict[str, float]:
    return {label: value for (name, label), value in world.metrics.gauges.items() if name == "invariant_violations"}


async def test_of_several_instances_one_looks_and_once_an_interval(world: World) -> None:
    instances = [looking(world) for _ in range(3)]
    assert [await each.look_if_due() for each in instances] == [None] * 3  # known from now on, and due in an hour

    looks = []
    for minute in range(1, 250):
        world.pass_time(minutes=1)
        looks += [minute for each in instances if await each.look_if_due() is not None]

    assert looks == [61, 122, 183, 244]


async def test_a_look_measures_what_it_found_and_when(world: World) -> None:
    instance = looking(world)
    await instance.look_if_due()
    BREAKING["seats_are_uses"](await furnish(world))
    world.pass_time(hours=1, seconds=1)

    await instance.look_if_due()
    await looking(world).measure()

    assert measured(world) == {name: int(name == "seats_are_uses") for name in PROMISES}
    now = world.clock.now().timestamp()
    assert world.metrics.gauges["invariants_checked_timestamp_seconds", ""] == now
    assert world.metrics.gauges["invariants_unchecked", ""] == 0
    assert world.metrics.gauges["scheduled_job_success_timestamp_seconds", NAME] == now


@pytest.mark.parametrize("seconds", [0.5, 4.9, 9.9, 10.0, 600.0])
async def test_a_look_ends_before_its_lease(world: World, monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Each part of each promise takes that long, and none is the last one."""

    async def part(_store: object, _name: str, *, after: str, rows: int, seconds: float) -> CountedPart:
        assert rows
        world.clock.move(timedelta(seconds=min(each, seconds)))
        return CountedPart(f"{after}a", None if each > seconds else 0, has_rows=True, is_hidden=False)

    async def pause(seconds: float) -> None:
        world.clock.move(timedelta(seconds=seconds))

    each = seconds
    monkeypatch.setattr(MemoryInvariants, "part", part)
    monkeypatch.setattr(invariant_looks, "pause", pause)
    instance = looking(world)
    await instance.look_if_due()
    world.pass_time(hours=1, seconds=1)
    began = world.clock.now()

    counted = await instance.look_if_due()

    assert counted is not None
    assert len(counted) == len(PROMISES)
    assert world.clock.now() - began < LEASE


async def test_an_interval_of_zero_switches_it_off(world: World) -> None:
    async with asyncio.timeout(5):
        await looking(world, every_seconds=0).run()

    assert world.metrics.gauges["invariants_interval_seconds", ""] == 0
    async with world.transactions.reading() as stores:
        assert await stores.schedules.successes([NAME]) == {}


async def test_it_goes_on_after_a_failure(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = asyncio.Event()
    left = [RuntimeError("a bug")]

    async def failing(_self: LookAtInvariants) -> None:
        if left:
            raise left.pop()
        looks.set()

    monkeypatch.setattr(LookAtInvariants, "look_if_due", failing)
    monkeypatch.setattr("tallystick.entrypoints.worker.looking.POLL_SECONDS", 0.0)
    running = asyncio.create_task(looking(world).run())
    async with asyncio.timeout(5):
        await looks.wait()
    running.cancel()
