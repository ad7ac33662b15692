"""The promises of the store of passes over the invariants."""

from datetime import timedelta

import pytest

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
            assert await stores.passes.put(first, instead_of=now)
            assert await stores.passes.put(other, instead_of=now)
            assert await stores.passes.put(second, instead_of=now)

        async with world.transactions.reading() as stores:
            assert dict(await stores.passes.all()) == {"seats_are_uses": second, "events_count_once": other}

    @pytest.mark.parametrize("later", [timedelta(hours=1), timedelta(), timedelta(hours=-1)])
    async def test_a_pass_that_was_reset_begins_anew_and_is_not_replaced_by_one_that_was_read_before(
        self, world: World, later: timedelta
    ) -> None:
        now = world.clock.now()
        found = Pass("seats_are_uses", now, "invite", 3, 1, now, 4, 2)
        other = Pass("events_count_once", now, "ada", 1)
        async with world.transactions.begin() as stores:
            assert await stores.passes.put(found, instead_of=now)
            assert await stores.passes.put(other, instead_of=now)

        async with world.transactions.begin() as stores:
            await stores.passes.reset("seats_are_uses", at=now + later)
        async with world.transactions.begin() as stores:
            assert not await stores.passes.put(found, instead_of=now)

        anew = Pass("seats_are_uses", max(now + later, now + timedelta(microseconds=1)))
        async with world.transactions.reading() as stores:
            assert dict(await stores.passes.all()) == {"seats_are_uses": anew, "events_count_once": other}
        async with world.transactions.begin() as stores:
            assert await stores.passes.put(anew.begun(now + timedelta(hours=2)), instead_of=anew.began_at)

    async def test_a_promise_without_a_pass_needs_no_reset(self, world: World) -> None:
        async with world.transactions.begin() as stores:
            await stores.passes.reset("seats_are_uses", at=world.clock.now())

        async with world.transactions.reading() as stores:
            assert dict(await stores.passes.all()) == {}
