"""How a share link is read, and minted on the first read."""

import pytest

from tallystick.application.referral_links import LinkState
from tallystick.domain.flags import Flag
from tallystick.domain.users import UserDeleted
from tests.worlds.world import World


class TestReadReferralLink:
    async def test_the_first_read_mints_and_the_link_works_at_once(self, world: World) -> None:
        state = await world.link("ada")

        assert state.code is not None
        assert await world.resolve(state.code) == "canonical"
        assert await world.link("ada") == state

    async def test_without_minting_on_read_the_link_is_pending(self, world: World) -> None:
        world.flags.switch(Flag.ENSURE_ON_READ_ENABLED, enabled=False)

        assert await world.link("ada") == LinkState(None, otp_verified=False)
        assert await world.summary("ada") is None

    async def test_without_minting_on_read_a_code_that_is_there_is_shown(self, world: World) -> None:
        world.flags.switch(Flag.ENSURE_ON_READ_ENABLED, enabled=False)
        code = await world.mint("ada")

        assert (await world.link("ada")).code == code

    async def test_a_deleted_user_has_no_link(self, world: World) -> None:
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.link("ada")

    async def test_a_verified_phone_shows(self, world: World) -> None:
        await world.arrive("ada", phone_verified=True)

        assert (await world.link("ada")).otp_verified


class TestPeekReferralLink:
    async def test_it_never_writes_and_counts_that_it_might_have(self, world: World) -> None:
        assert await world.peek("ada") == LinkState(None, otp_verified=False)
        assert await world.summary("ada") is None
        assert world.metrics.total("referral_api_mint_attempts") == 1

    async def test_it_shows_a_code_that_is_there(self, world: World) -> None:
        code = await world.mint("ada")

        assert (await world.peek("ada")).code == code
        assert world.metrics.total("referral_api_mint_attempts") == 0

    async def test_a_deleted_user_has_no_link(self, world: World) -> None:
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.peek("ada")
