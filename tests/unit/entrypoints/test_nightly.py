"""The night: reconciled once, by one instance of all, and by another one where the first was killed."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tallystick.application.reconciliation import MetadataDrift, ReconcileMetadata
from tallystick.application.schedules import due_since
from tallystick.application.work_lease import LEASE
from tallystick.domain.flags import Flag
from tallystick.entrypoints.worker.nightly import Nightly
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World

Instance = Callable[[], Nightly]


class Killed(BaseException):
    """The process is gone."""


class DyingReconciliation(ReconcileMetadata):
    """Reconciles one page, and is killed."""

    async def pages(self, **_asked: object) -> AsyncIterator[MetadataDrift]:
        async for drift in super().pages(is_to_repair=True, size=1):
            yield drift
            raise Killed


@pytest.fixture
async def world() -> World:
    world = World(MemoryBackend())
    world.fall_back()
    for number in range(3):
        await world.imported(f"user{number}", f"1000{number}")
    assert await nightly(world).reconcile_if_due() is None  # known from now on, and due by the next night
    world.pass_time(days=1)
    return world


def nightly(world: World, reconcile: ReconcileMetadata | None = None) -> Nightly:
    reconcile = reconcile or world.reconcile_metadata
    return Nightly(world.transactions, reconcile, world.flags, world.clock, world.randomness, 3)


@pytest.fixture
def instance(world: World) -> Instance:
    return lambda: nightly(world)


def dying(world: World) -> Nightly:
    reconcile = DyingReconciliation(world.transactions, world.clock, world.randomness, world.metrics, world.candidates)
    return nightly(world, reconcile)


async def test_of_several_instances_one_does_it_and_once_a_night(world: World, instance: Instance) -> None:
    instances = [instance() for _ in range(3)]

    assert [drift is not None for drift in [await each.reconcile_if_due() for each in instances]] == [
        True,
        False,
        False,
    ]
    assert await world.drift() == {}

    nights = []
    for _ in range(48):
        world.pass_time(hours=1)
        nights += [world.clock.now().hour for each in instances if await each.reconcile_if_due() is not None]
    assert nights == [3, 3]


async def test_a_fallback_that_is_switched_on_by_day_waits_for_the_night() -> None:
    world = World(MemoryBackend())
    world.pass_time(hours=(27 - world.clock.now().hour) % 24 + 9)  # noon
    world.fall_back()
    await world.imported("ada", "1234")

    looks = []
    for _ in range(24):
        if await nightly(world).reconcile_if_due() is not None:
            looks.append(world.clock.now().hour)
        world.pass_time(hours=1)

    assert looks == [3]


async def test_work_that_a_killed_instance_began_is_taken_over_when_its_lease_has_ended(
    world: World, instance: Instance
) -> None:
    with pytest.raises(Killed):
        await dying(world).reconcile_if_due()
    assert (await world.drift())["unadopted"] == 2

    world.pass_time(seconds=LEASE.total_seconds() - 1)
    assert await instance().reconcile_if_due() is None

    world.pass_time(seconds=1)
    assert await instance().reconcile_if_due() is not None
    assert await world.drift() == {}
    assert await instance().reconcile_if_due() is None


async def test_an_instance_that_lost_the_lease_goes_no_further(world: World, instance: Instance) -> None:
    class Slow(ReconcileMetadata):
        async def pages(self, **_asked: object) -> AsyncIterator[MetadataDrift]:
            async for drift in super().pages(is_to_repair=True, size=1):
                world.pass_time(seconds=LEASE.total_seconds() + 1)
                if not taken_over:
                    taken_over.append(await instance().reconcile_if_due())
                yield drift

    taken_over: list[MetadataDrift | None] = []
    slow = Slow(world.transactions, world.clock, world.randomness, world.metrics, world.candidates)

    found = await nightly(world, slow).reconcile_if_due()

    assert found is not None
    assert found.users == 1
    assert taken_over[0] is not None
    assert taken_over[0].users == 3


async def test_without_the_fallback_nights_are_quiet(world: World, instance: Instance) -> None:
    world.flags.switch(Flag.LEGACY_FALLBACK_ENABLED, enabled=False)

    assert await instance().reconcile_if_due() is None
    assert (await world.drift())["unadopted"] == 3


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-01-02T02:59:59", "2026-01-01T03:00:00"),
        ("2026-01-02T03:00:00", "2026-01-02T03:00:00"),
        ("2026-01-02T23:59:59", "2026-01-02T03:00:00"),
    ],
)
def test_it_is_due_since_the_hour_struck_last(now: str, due: str) -> None:
    at = datetime.fromisoformat(now).replace(tzinfo=UTC)

    assert due_since(at, hour=3) == datetime.fromisoformat(due).replace(tzinfo=UTC)
    assert due_since(at, hour=3) + timedelta(days=1) > at
