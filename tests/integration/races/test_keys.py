"""One idempotency key sent many ways at once: one effect, and one answer to all who are answered."""

import asyncio
from collections.abc import Awaitable, Callable

import httpx2
import pytest

from tests.http.services import Caller
from tests.integration.postgres.sessions import session
from tests.integration.races.purses import balances, buy, give, outcome, with_credits
from tests.worlds.world import World

WAYS = range(2, 11)
NOT_DONE = {"IDEMPOTENCY_IN_PROGRESS", "IDEMPOTENCY_MISMATCH"}

Send = Callable[[Caller, str, str], Awaitable[httpx2.Response]]
"""Sends one request of one user under a key."""


async def sent_many_ways(instances: tuple[Caller, Caller], send: Send, user: str, ways: int) -> set[bytes]:
    """Return the different answers of the requests that were not asked to wait."""
    answers = await asyncio.gather(*(send(instances[way % 2], user, "same") for way in range(ways)))
    done = [answer for answer in answers if answer.status_code < 300]
    waiting = [answer for answer in answers if answer.status_code >= 300]
    assert {answer.json()["code"] for answer in waiting} <= {"IDEMPOTENCY_IN_PROGRESS"}
    assert all(answer.headers["retry-after"] for answer in waiting)
    assert len([answer for answer in done if "idempotency-hit" not in answer.headers]) == 1
    again = await send(instances[0], user, "same")
    assert again.headers["idempotency-hit"] == "true"
    return {answer.content for answer in (*done, again)}


@pytest.mark.parametrize("request_body", [None, {}])
async def test_a_purchase(instances: tuple[Caller, Caller], world: World, request_body: object) -> None:
    reward = await world.a_reward(cost=60)
    users = await with_credits(world, [f"user-{ways}" for ways in WAYS], 1000)

    async def send(instance: Caller, user: str, key: str) -> httpx2.Response:
        path = f"/api/rewards/{reward.reward_id}/purchase"
        return await instance.named(user).post(path, request_body, key=key)

    for user, ways in zip(users, WAYS, strict=True):
        assert len(await sent_many_ways(instances, send, user, ways)) == 1

    assert await balances(world, users) == dict.fromkeys(users, (940, 2))
    assert await world.broken_promises() == []


async def test_a_redemption(instances: tuple[Caller, Caller], world: World) -> None:
    invite = await world.an_invite(max_uses=1000)

    async def send(instance: Caller, user: str, key: str) -> httpx2.Response:
        return await instance.named(user).post("/api/invites/redeem", {"code": invite.code}, key=key)

    for ways in WAYS:
        assert len(await sent_many_ways(instances, send, f"user-{ways}", ways)) == 1

    users, counted = await world.seats_and_counter(invite)
    assert (len(users), counted) == (len(WAYS), len(WAYS))


async def test_a_grant(instances: tuple[Caller, Caller], world: World) -> None:
    """All of them are one member of staff's, and the events are different ones."""

    async def send(instance: Caller, user: str, key: str) -> httpx2.Response:
        return await give(instance, user, 10, f"event of {user}", key=f"{key} {user}".replace(" ", "-"))

    users = [f"user-{ways}" for ways in WAYS]
    for user, ways in zip(users, WAYS, strict=True):
        assert len(await sent_many_ways(instances, send, user, ways)) == 1

    assert await balances(world, users) == dict.fromkeys(users, (10, 1))


async def test_an_invite_that_is_made(instances: tuple[Caller, Caller], owner_dsn: str) -> None:
    async def send(instance: Caller, user: str, key: str) -> httpx2.Response:
        return await instance.named(user, "invites:create").post("/api/invites/", {"max_uses": 5}, key=key)

    for ways in WAYS:
        assert len(await sent_many_ways(instances, send, f"user-{ways}", ways)) == 1

    async with session(owner_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        assert await owner.fetchval("SELECT count(*) FROM tallystick.invites") == len(WAYS)


async def test_one_key_for_different_purchases_buys_one_of_them(instances: tuple[Caller, Caller], world: World) -> None:
    rewards = [await world.a_reward(cost=10) for _ in WAYS]
    users = await with_credits(world, [f"user-{ways}" for ways in WAYS], 1000)

    for user, ways in zip(users, WAYS, strict=True):
        answers = await asyncio.gather(
            *(buy(instances[way % 2].named(user), rewards[way % len(rewards)], key="same") for way in range(ways))
        )

        outcomes = [outcome(answer) for answer in answers]
        assert outcomes.count("done") == 1
        assert set(outcomes) - {"done"} <= NOT_DONE

    assert await balances(world, users) == dict.fromkeys(users, (990, 2))
    assert await world.broken_promises() == []


async def test_one_key_for_different_grants_gives_one_of_them(instances: tuple[Caller, Caller], world: World) -> None:
    for ways in WAYS:
        users = [f"user-{ways}-{way}" for way in range(ways)]

        answers = await asyncio.gather(
            *(
                give(instances[way % 2], user, 10, f"event of {user}", key=f"same-{ways}")
                for way, user in enumerate(users)
            )
        )

        outcomes = [outcome(answer) for answer in answers]
        assert outcomes.count("done") == 1
        assert set(outcomes) - {"done"} <= NOT_DONE
        assert {found for found in (await balances(world, users)).values() if found != (0, 0)} == {(10, 1)}
        assert sum(balance for balance, _ in (await balances(world, users)).values()) == 10


async def test_the_same_key_of_another_user_is_another_key(instances: tuple[Caller, Caller], world: World) -> None:
    reward, invite = await world.a_reward(cost=60), await world.an_invite(max_uses=1000)
    users = await with_credits(world, [f"user-{number}" for number in range(50)], 100)

    bought = await asyncio.gather(
        *(buy(instances[n % 2].named(user), reward, key="same") for n, user in enumerate(users))
    )
    redeemed = await asyncio.gather(
        *(
            instances[n % 2].named(f"other-{n}").post("/api/invites/redeem", {"code": invite.code}, key="same")
            for n in range(50)
        )
    )

    assert [outcome(answer) for answer in (*bought, *redeemed)] == ["done"] * 100
    assert await balances(world, users) == dict.fromkeys(users, (40, 2))
    assert await world.broken_promises() == []
