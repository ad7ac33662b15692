"""Missing codes: users who asked for a code, or came by webhook, and have none after ten seconds."""

import pytest

from tallystick.application.missing_codes import FORGOTTEN_AFTER_SECONDS
from tallystick.application.referral_links import ReadReferralLink
from tallystick.domain.codes import MAX_CANDIDATES, CodesExhausted
from tallystick.domain.users import UserId
from tests.worlds.world import World


async def missing(world: World, *, seconds: float = 10) -> float:
    """Let time pass, and return what is measured."""
    world.pass_time(seconds=seconds)
    await world.missing_codes.measure()
    return world.metrics.gauges["missing_codes", ""]


class TestMissingCodes:
    async def test_a_user_who_never_asked_is_not_missing_one(self, world: World) -> None:
        await world.arrive("ada")

        assert await missing(world) == 0

    async def test_a_user_whose_mint_failed_is_counted_until_a_code_is_there(self, world: World) -> None:
        taken = await world.mint("bob")
        read_link = ReadReferralLink(
            world.read_summary,
            world.minting,
            world.flags,
            world.clock,
            lambda: (taken,) * MAX_CANDIDATES,
            world.missing_codes,
        )
        with pytest.raises(CodesExhausted):
            await read_link(UserId("ada"))

        assert await missing(world, seconds=9.9) == 0
        assert await missing(world, seconds=0.2) == 1

        await world.mint("ada")  # by another process, which does not tell this one
        assert await missing(world, seconds=1) == 0

    async def test_a_delivery_that_is_applied_leaves_nobody_waiting(self, world: World) -> None:
        world.missing_codes.asked(UserId("ada"))
        await world.deliver("created", "ada")

        assert await missing(world) == 0

    async def test_a_user_of_a_delivery_that_is_lost_is_counted(self, world: World) -> None:
        world.missing_codes.asked(UserId("ada"))

        assert await missing(world) == 1

    async def test_a_deleted_user_is_not_counted(self, world: World) -> None:
        await world.arrive("ada")
        world.missing_codes.asked(UserId("ada"))
        await world.delete("ada")

        assert await missing(world) == 0

    async def test_a_user_who_does_not_come_back_is_forgotten(self, world: World) -> None:
        world.missing_codes.asked(UserId("ada"))

        assert await missing(world, seconds=FORGOTTEN_AFTER_SECONDS + 1) == 0
