"""What a unit of work promises on every backend."""

import pytest

from tallystick.domain.identity import Principal
from tallystick.domain.users import UserId
from tests.worlds import World


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

    async def test_callers_who_were_deleted_are_told_from_those_who_live_and_those_never_seen(
        self, world: World
    ) -> None:
        await world.mint("ada")
        await world.tell("deleted", "bob")

        assert await world.check_callers([Principal(UserId(name)) for name in ("bob", "ada", "nobody")]) == [
            "deleted",
            "known",
            "known",
        ]
