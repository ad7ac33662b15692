"""The night: reconciled once, by one instance of all, and by another one where the first was killed."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from adapters.memory.transactions import MemoryTransactions
from application.reconciliation import MetadataDrift, ReconcileMetadata
from application.schedules import due_since
from domain.flags import Flag
from entrypoints.worker.nightly import LEASE, Nightly
from tests.worlds import World

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
    world = World(MemoryTransactions())
    world.fall_back()
    for number in range(3):
        await world.imported(f"user{number}", f"1000{number}")
    return world


@pytest.fixture
def instance(world: World) -> Instance:
    def build() -> Nightly:
        reconcile = world.reconcile_metadata
        return Nightly(world.transactions, reconcile, world.flags, world.clock, world.randomness, 3)

    return build


def dying(world: World) -> Nightly:
    reconcile = DyingReconciliation(world.transactions, world.clock, world.randomness, world.metrics, world.candidates)
    return Nightly(world.transactions, reconcile, world.flags, world.clock, world.randomness, 3)


async def test_of_several_instances_one_does_it_and_once_a_night(world: World, instance: Instance) -> None:
    instances = [instance() for _ in range(3)]

    assert [drift is not None for drift in [await each.look() for each in instances]] == [True, False, False]
    assert await world.drift() == {}

    nights = []
    for _ in range(48):
        world.pass_time(hours=1)
        nights += [world.clock.now().hour for each in instances if await each.look() is not None]
    assert nights == [3, 3]


async def test_what_a_killed_instance_began_is_taken_over_when_its_lease_has_ended(
    world: World, instance: Instance
) -> None:
    with pytest.raises(Killed):
        await dying(world).look()
    assert (await world.drift())["unadopted"] == 2

    world.pass_time(seconds=LEASE.total_seconds() - 1)
    assert await instance().look() is None

    world.pass_time(seconds=1)
    assert await instance().look() is not None
    assert await world.drift() == {}
    assert await instance().look() is None


async def test_who_lost_the_lease_goes_no_further(world: World, instance: Instance) -> None:
    class Slow(ReconcileMetadata):
        async def pages(self, **_asked: object) -> AsyncIterator[MetadataDrift]:
            async for drift in super().pages(is_to_repair=True, size=1):
                world.pass_time(seconds=LEASE.total_seconds() + 1)
                if not taken_over:
                    taken_over.append(await instance().look())
                yield drift

    taken_over: list[MetadataDrift | None] = []
    slow = Slow(world.transactions, world.clock, world.randomness, world.metrics, world.candidates)

    found = await Nightly(world.transactions, slow, world.flags, world.clock, world.randomness, 3).look()

    assert found is not None
    assert found.users == 1
    assert taken_over[0] is not None
    assert taken_over[0].users == 3


async def test_without_the_fallback_nights_are_quiet(world: World, instance: Instance) -> None:
    world.flags.switch(Flag.LEGACY_FALLBACK_ENABLED, enabled=False)

    assert await instance().look() is None
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
