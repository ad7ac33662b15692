"""The promises of a unit of work on every backend."""

import pytest

from tallystick.domain.codes import Code
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import InvalidText
from tallystick.domain.users import Profile, User, UserId
from tests.worlds.world import World


class TestTransactions:
    async def test_an_exception_leaves_no_trace(self, world: World) -> None:
        with pytest.raises(ZeroDivisionError):
            async with world.transactions.begin() as stores:
                await stores.users.admit([UserId("ada")], world.clock.now())
                raise ZeroDivisionError

        assert await world.summary("ada") is None

    async def test_a_clean_exit_commits(self, world: World) -> None:
        async with world.transactions.begin() as stores:
            await stores.users.admit([UserId("ada")], world.clock.now())

        assert await world.summary("ada") is not None

    async def test_a_transaction_sees_its_own_writes(self, world: World) -> None:
        async with world.transactions.begin() as stores:
            await stores.users.admit([UserId("ada")], world.clock.now())

            assert list(await stores.users.lock([UserId("ada")])) == ["ada"]

    async def test_one_inside_another_is_an_error(self, world: World) -> None:
        async with world.transactions.begin():
            with pytest.raises(RuntimeError, match="inside another"):
                async with world.transactions.begin():
                    pass

    async def test_users_are_locked_in_key_order(self, world: World) -> None:
        async with world.transactions.begin() as stores:
            await stores.users.admit([UserId(user) for user in ("b", "c", "a")], world.clock.now())

            assert list(await stores.users.lock([UserId(user) for user in ("c", "a", "b", "x")])) == ["a", "b", "c"]

    async def test_callers_who_were_deleted_are_distinguished_from_those_who_live_and_those_never_seen(
        self, world: World
    ) -> None:
        await world.mint("ada")
        await world.deliver("deleted", "bob")

        assert await world.check_callers([Principal(UserId(name)) for name in ("bob", "ada", "nobody")]) == [
            "deleted",
            "known",
            "known",
        ]


unstorable_text = pytest.mark.parametrize("text", ["a\x00b", "a\ud800b"], ids=["a NUL", "half of a surrogate pair"])


class TestUnstorableValues:
    """Values that no store can keep are refused in the same way by both, on the way in and in a search."""

    @unstorable_text
    async def test_text_that_cannot_be_stored_is_refused_and_leaves_no_trace(self, world: World, text: str) -> None:
        now = world.clock.now()
        with pytest.raises(InvalidText):
            async with world.transactions.begin() as stores:
                await stores.users.admit([UserId("ada")], now)
                await stores.users.store([User(UserId("ada"), now, Profile(display_name=text))])

        assert await world.summary("ada") is None

    @pytest.mark.parametrize("number", [2**63, 2**200])
    async def test_a_number_of_more_than_64_bits_is_refused(self, world: World, number: int) -> None:
        now = world.clock.now()
        with pytest.raises(InvalidText):
            async with world.transactions.begin() as stores:
                await stores.users.admit([UserId("ada")], now)
                await stores.users.store([User(UserId("ada"), now, referrals=number)])

    async def test_the_largest_number_is_stored(self, world: World) -> None:
        now = world.clock.now()
        async with world.transactions.begin() as stores:
            await stores.users.admit([UserId("ada")], now)
            await stores.users.store([User(UserId("ada"), now, referrals=2**63 - 1)])

            assert (await stores.users.find([UserId("ada")]))[UserId("ada")].referrals == 2**63 - 1

    @unstorable_text
    async def test_a_search_for_text_that_cannot_be_stored_is_refused(self, world: World, text: str) -> None:
        with pytest.raises(InvalidText):
            async with world.transactions.begin() as stores:
                await stores.users.find([UserId(text)])

    @unstorable_text
    async def test_a_read_of_text_that_cannot_be_stored_is_refused(self, world: World, text: str) -> None:
        with pytest.raises(InvalidText):
            async with world.transactions.reading() as stores:
                await stores.codes.resolve([Code(text)])
