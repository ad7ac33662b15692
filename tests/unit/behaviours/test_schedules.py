"""Scheduled work is done by one instance at a time, once each time that it is due."""

from datetime import datetime, timedelta

import pytest

from tests.worlds.world import World

LEASE = timedelta(minutes=5)


DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


class TestSchedules:
    async def test_work_that_was_never_done_is_not_missed_and_is_done_when_it_is_due_next(self, world: World) -> None:
        began = world.clock.now()
        assert not await _lease(world, due_at=began)
        assert not await _lease(world, due_at=began)

        world.pass_time(minutes=1)
        assert not await _lease(world, due_at=began)
        assert await _lease(world, due_at=began + MOMENT)

    async def test_one_has_the_lease_until_it_ends(self, world: World) -> None:
        await _enrolled(world)
        assert await _lease(world)
        assert not await _lease(world)

        world.pass_time(minutes=4.999)
        assert not await _lease(world)

        world.pass_time(minutes=0.001)
        assert await _lease(world)

    async def test_work_that_is_done_is_done_until_it_is_due_again(self, world: World) -> None:
        await _enrolled(world)
        due_at = world.clock.now()
        assert await _lease(world)
        async with world.transactions.begin() as stores:
            held_until = due_at + LEASE
            assert await stores.schedules.done("night", held_until=held_until, at=due_at + timedelta(minutes=1))
        world.pass_time(minutes=10)
        now = world.clock.now()

        async with world.transactions.begin() as stores:
            assert not await stores.schedules.lease("night", now=now, until=now + LEASE, due_at=due_at)
            assert await stores.schedules.lease("other", now=now, until=now + LEASE, due_at=due_at)
            assert await stores.schedules.lease("night", now=now, until=now + LEASE, due_at=now)

    async def test_a_lease_is_renewed_by_its_holder_alone(self, world: World) -> None:
        await _enrolled(world)
        began = world.clock.now()
        assert await _lease(world)
        world.pass_time(minutes=4)
        longer = world.clock.now() + LEASE
        async with world.transactions.begin() as stores:
            for _ in range(2):  # the first answer was lost
                assert await stores.schedules.renew("night", held_until=began + LEASE, until=longer)
        world.pass_time(minutes=2)
        assert not await _lease(world)

        async with world.transactions.begin() as stores:
            for stale in (began + LEASE, world.clock.now()):
                assert not await stores.schedules.renew("night", held_until=stale, until=longer + LEASE)
                assert not await stores.schedules.done("night", held_until=stale, at=world.clock.now())
            assert await stores.schedules.done("night", held_until=longer, at=world.clock.now())

    @pytest.mark.parametrize("by", ["lease", "done"])
    async def test_a_time_from_a_clock_far_ahead_stops_nothing(self, world: World, by: str) -> None:
        held_until = world.clock.now()
        await _enrolled(world)
        now = world.clock.now()
        for ahead, is_free in ((DAY, False), (DAY + MOMENT, True)):
            async with world.transactions.begin() as stores:
                if by == "lease":
                    assert await stores.schedules.renew("night", held_until=held_until, until=now + ahead)
                else:
                    assert await stores.schedules.done("night", held_until=held_until, at=now + ahead)
            held_until = now + ahead
            assert await _lease(world) is is_free


async def _enrolled(world: World) -> None:
    """Let the schedules be known, and what they are for be due again."""
    for name in ("night", "other"):
        assert not await _lease(world, name=name)
    world.pass_time(seconds=1)


async def _lease(world: World, *, name: str = "night", due_at: datetime | None = None) -> bool:
    now = world.clock.now()
    async with world.transactions.begin() as stores:
        return await stores.schedules.lease(name, now=now, until=now + LEASE, due_at=due_at or now)
