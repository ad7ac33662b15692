"""Which clicks leave a trace, and how often one is sent."""

import pytest

from tallystick.domain.codes import Code
from tests.worlds.world import World


class TestClickedCodes:
    async def test_clicks_on_codes_that_a_run_wrote_are_stored_and_no_others(self, world: World) -> None:
        await world.imported("ada", "1234", aliases=["5678", "9012"])
        minted = await world.mint("bob")
        await world.reconcile(repair=True)

        for code in ("1234", "5678", minted, "NOBODY99"):
            world.clicks.note(Code(code))
        assert await world.clicked() == set()
        await world.clicks.flush()

        assert await world.clicked() == {"1234", "5678"}

    async def test_a_code_is_clicked_once_however_often_it_is_clicked(self, world: World) -> None:
        await world.imported("ada", "1234")
        await world.reconcile(repair=True)

        for _ in range(2):
            async with world.transactions.begin() as stores:
                assert await stores.clicks.keep([Code("1234")], world.clock.now()) == {"1234"}

        assert await world.clicked() == {"1234"}

    @pytest.mark.parametrize("state", ["planned", "applying", "applied"])
    async def test_a_click_on_a_code_that_a_run_is_still_to_write_is_stored(self, world: World, state: str) -> None:
        await world.imported("ada", "1234", aliases=["5678"])
        await world.imported("bob", "9012", lost_to="cid")
        await world.run_is(state)

        for code in ("1234", "5678", "9012", "NOBODY99"):
            world.clicks.note(Code(code))
        await world.clicks.flush()

        assert await world.clicked() == {"1234", "5678"}

    async def test_a_click_on_what_a_run_took_back_is_none(self, world: World) -> None:
        await world.imported("ada", "1234")
        await world.run_is("rolled_back")

        world.clicks.note(Code("1234"))
        await world.clicks.flush()

        assert await world.clicked() == set()

    async def test_a_click_before_the_plan_does_not_hide_one_after_it(self, world: World) -> None:
        world.clicks.note(Code("1234"))
        await world.clicks.flush()
        assert await world.clicked() == set()

        await world.imported("ada", "1234")
        world.clicks.note(Code("1234"))
        await world.clicks.flush()

        assert await world.clicked() == {"1234"}
