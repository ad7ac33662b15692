"""The promises of the store of passes over the invariants."""

from datetime import timedelta

from tallystick.application.invariant_passes import Pass
from tests.worlds.world import World


class TestInvariantPasses:
    """How far the looks have come is kept for the next one."""

    async def test_a_promise_that_was_never_looked_at_has_none(self, world: World) -> None:
        async with world.transactions.reading() as stores:
            assert dict(await stores.passes.all()) == {}

    async def test_the_last_position_of_each_promise_is_kept(self, world: World) -> None:
        now = world.clock.now()
        first = Pass("seats_are_uses", now, "invite", 3, 1)
        second = Pass("seats_are_uses", now + timedelta(hours=1), "", 0, 0, now, 4, 2)
        other = Pass("events_count_once", now, "ada")
        async with world.transactions.begin() as stores:
            await stores.passes.put(first)
            await stores.passes.put(other)
            await stores.passes.put(second)

        async with world.transactions.reading() as stores:
            assert dict(await stores.passes.all()) == {"seats_are_uses": second, "events_count_once": other}
