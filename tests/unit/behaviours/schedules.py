"""Who does what is scheduled: one at a time, once each time that it is due."""

from datetime import timedelta

from tests.worlds import World

LEASE = timedelta(minutes=5)


class SchedulesBehaviour:
    async def test_one_has_the_lease_until_it_ends(self, world: World) -> None:
        assert await _lease(world)
        assert not await _lease(world)

        world.pass_time(minutes=4.999)
        assert not await _lease(world)

        world.pass_time(minutes=0.001)
        assert await _lease(world)

    async def test_what_is_done_is_done_until_it_is_due_again(self, world: World) -> None:
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

    async def test_a_lease_is_renewed_by_who_holds_it_alone(self, world: World) -> None:
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


async def _lease(world: World) -> bool:
    now = world.clock.now()
    async with world.transactions.begin() as stores:
        return await stores.schedules.lease("night", now=now, until=now + LEASE, due_at=now)
