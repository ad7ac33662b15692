"""How what deleted users held is erased: in steps, each bounded, taken up by any instance where another one stopped."""

from collections.abc import Awaitable, Callable

import pytest

import tallystick.application.erasures
from tallystick.application.idempotency import Keyed, StoredReply
from tallystick.application.transactions import StoreUnavailable
from tallystick.domain.dispositions import WITHDRAWN
from tallystick.domain.identity import Credentials
from tallystick.domain.rewards import RewardNotFound
from tallystick.domain.users import Profile, UserDeleted, UserId
from tests.worlds.world import World

ADA = UserId("ada")
REPLY = StoredReply(b"", 200, b"{}")
Leave = Callable[[World], Awaitable[object]]


async def _by_the_provider(world: World) -> None:
    await world.deliver("deleted", "ada")


async def _by_an_administrator(world: World) -> None:
    await world.delete("ada")


WAYS = pytest.mark.parametrize("leave", [_by_the_provider, _by_an_administrator])


async def a_holder_of_much(world: World, *, rewards: int = 5, aliases: int = 5, replies: int = 5) -> list[str]:
    """Let ada hold more of everything than a step erases, and return her codes."""
    await world.deliver("created", "ada", profile=Profile("ada@example.org", "ada", "Ada", "+4512345678"))
    first = str(await world.code_of("ada"))
    codes = [first, *[str((await world.remint("ada")).code) for _ in range(aliases)]]
    for _ in range(rewards):
        await world.change(await world.a_reward(owner="ada"), name="Coffee with Ada", description="+4512345678")
    async with world.transactions.begin() as stores:
        await stores.directory.enrol([Credentials(ADA, "hash", world.clock.now())])
        await stores.idempotency.record([(world.key("ada", f"key{n}", b""), REPLY) for n in range(replies)])
    return codes


async def left(world: World, codes: list[str]) -> dict[str, int]:
    """Count what is still to be erased."""
    async with world.transactions.begin() as stores:
        rows = [await stores.exports.page(kind, after=place, limit=100) for kind, place in START]  # type: ignore[arg-type]  # literals
        keys = [world.key("ada", f"key{n}", b"") for n in range(5)]
        claims = await stores.idempotency.claim(keys)
        backlog = await stores.erasures.backlog()
        named = [r for r in await stores.rewards.page(before=None, limit=100) if r.name != WITHDRAWN]
        locked = await stores.users.lock([ADA])
    assert locked[ADA].deleted_at is not None
    unretired = [row for page in rows for row in page if row.retired_at is None and row.code in codes]  # type: ignore[attr-defined]  # of both kinds
    return {
        "codes": len(unretired),
        "rewards": len(named),
        "replies": sum(claim != "fresh" for claim in claims),
        "users": backlog.waiting,
    }


START = (("codes", ("",)), ("aliases", ("", "")))
NOTHING = {"codes": 0, "rewards": 0, "replies": 0, "users": 0}


async def shown_rewards(world: World) -> list[tuple[str, str | None, bool]]:
    return [(reward.name, reward.description, reward.active) for reward in await world.rewards()]


class TestEraseTraces:
    @pytest.fixture(autouse=True)
    def small_steps(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(tallystick.application.erasures, "STEP_ROWS", 2)

    @WAYS
    async def test_from_the_first_moment_nothing_of_the_user_is_seen_though_rows_are_left(
        self, world: World, leave: Leave
    ) -> None:
        codes = await a_holder_of_much(world)
        hers = (await world.rewards())[0]
        buyer = await world.an_account("bob", balance=100)

        await leave(world)

        still = await left(world, codes)
        assert still == {"codes": 3, "rewards": 0, "replies": 3, "users": 1}
        assert {await world.resolve(code) for code in codes} == {"unknown"}
        assert set(await shown_rewards(world)) == {(WITHDRAWN, None, False)}
        with pytest.raises(RewardNotFound):
            await world.purchase(buyer, hers)
        assert (await world.arrive("cid", codes[0])).attribution == "none"
        assert await world.profile("ada") == Profile()
        assert await world.broken_promises() == []

    @WAYS
    async def test_the_rounds_of_any_instance_finish_what_is_left(self, world: World, leave: Leave) -> None:
        codes = await a_holder_of_much(world)
        await leave(world)

        await world.finish_erasures()

        assert await left(world, codes) == NOTHING
        assert await shown_rewards(world) == []
        assert await world.broken_promises() == []

    async def test_a_user_who_holds_little_is_erased_by_the_deletion_itself(self, world: World) -> None:
        codes = await a_holder_of_much(world, rewards=1, aliases=1, replies=1)

        await world.delete("ada")

        assert await left(world, codes) == NOTHING

    @pytest.mark.parametrize("steps", range(4))
    async def test_an_erasure_that_stopped_after_any_step_goes_on_where_it_stopped(
        self, world: World, steps: int
    ) -> None:
        codes = await a_holder_of_much(world)
        await world.delete("ada")
        await world.erase_traces(ADA, world.clock.now(), max_steps=steps)

        assert (await left(world, codes))["users"] == int(steps < 3)
        await world.finish_erasures()

        assert await left(world, codes) == NOTHING

    async def test_a_step_erases_no_more_rows_of_a_table_than_it_may(self, world: World) -> None:
        codes = await a_holder_of_much(world)
        await world.delete("ada")
        before = await left(world, codes)

        made = await world.erase_traces(ADA, world.clock.now(), max_steps=1)

        after = await left(world, codes)
        assert made == 1
        # A step of its own begins at the first key, where the deletion's own step retired two aliases already.
        assert before["replies"] - after["replies"] == 2

    async def test_a_round_has_an_end_and_the_next_one_goes_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        codes = await a_holder_of_much(world)
        await world.delete("ada")
        monkeypatch.setattr(tallystick.application.erasures, "MAX_STEPS", 1)

        await world.finish_erasures()
        assert (await left(world, codes))["users"] == 1
        monkeypatch.setattr(tallystick.application.erasures, "MAX_STEPS", 100)
        await world.finish_erasures()

        assert await left(world, codes) == NOTHING

    async def test_everybody_who_is_marked_has_their_turn(self, world: World) -> None:
        for user in ("ada", "bob", "cid"):
            await world.arrive(user)
            for _ in range(3):
                await world.a_reward(owner=user)
            await world.delete(user)
        assert len(await world.rewards()) == 3

        await world.finish_erasures(batch_users=1)

        assert await world.rewards() == []

    async def test_a_deletion_is_no_failure_where_its_first_step_fails(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        codes = await a_holder_of_much(world)

        async def cancelled(*_: object) -> None:
            raise StoreUnavailable("57014")

        with monkeypatch.context() as patched:
            patched.setattr(tallystick.application.erasures, "ERASERS", (cancelled,))
            await world.delete("ada")

        assert {await world.resolve(code) for code in codes} == {"unknown"}
        await world.finish_erasures()
        assert await left(world, codes) == NOTHING

    async def test_the_user_does_not_come_back_while_rows_are_left(self, world: World) -> None:
        codes = await a_holder_of_much(world)
        await world.delete("ada")

        (outcome,) = await world.attribute_referrals([Keyed(world.upsert("ada"))])
        await world.deliver("created", "ada", profile=Profile(username="ada"))

        assert isinstance(outcome, UserDeleted)
        assert isinstance(await world.mint_outcome("ada"), UserDeleted)
        with pytest.raises(UserDeleted):
            await world.remint("ada")
        assert await world.profile("ada") == Profile()
        await world.finish_erasures()
        assert await left(world, codes) == NOTHING
