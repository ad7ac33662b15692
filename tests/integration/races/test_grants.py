"""Grants and purchases that race: nothing is lost, nothing waits for ever, and an event counts once."""

import asyncio
from collections import Counter

from tallystick.adapters.postgres.database import Database
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of, with_database
from tests.integration.postgres.sessions import Session, session
from tests.integration.races.purses import balances, buy, give, in_waves, outcome, with_credits
from tests.worlds.world import World

ROUNDS = 60
USERS = [f"user-{number:02}" for number in range(30)]


async def test_users_who_are_given_to_and_buy_in_opposite_orders_neither_lock_up_nor_lose_anything(
    owner_dsn: str, server: tuple[str, str], world: World
) -> None:
    rewards = [await world.a_reward(cost=7) for _ in range(6)]
    await with_credits(world, USERS, 100)
    given = settings(database_url=service_of(owner_dsn))

    async def give_and_buy(instance: Caller, users: list[str], turn: int) -> list[str]:
        order_batch = [{"user_id": user, "reward_id": rewards[turn + 4].reward_id} for user in users]
        singles = [
            request
            for user in users
            for request in (
                give(instance, user, 11, f"{user} {turn}"),
                *(buy(instance.named(user), reward) for reward in rewards[2 * turn : 2 * turn + 2]),
            )
        ]
        batch = instance.named("staff", "purchases:batch").post("/api/rewards/purchases", {"orders": order_batch})
        answers = await asyncio.gather(*singles, batch)
        results = answers[-1].json()["results"]
        return [*map(outcome, answers), *(result["outcome"] for result in results)]

    async with session(with_database(server[0], Database(owner_dsn).name)) as superuser:
        ours = await sessions(superuser)
        before = await deadlocks(superuser, ours)
        async with running(given, "postgres") as (first, _), running(given, "postgres") as (second, _):
            outcomes = await asyncio.gather(give_and_buy(first, USERS, 0), give_and_buy(second, USERS[::-1], 1))
        after = await deadlocks(superuser, ours)

    assert Counter(outcomes[0] + outcomes[1]) == {"done": 2 * (3 * len(USERS) + 1), "purchased": 2 * len(USERS)}
    assert await balances(world, USERS) == dict.fromkeys(USERS, (100 + 2 * 11 - 6 * 7, 1 + 2 + 6))
    assert await world.broken_promises() == []
    assert after == before, "somebody had to be thrown out"


async def test_one_event_for_one_user_at_two_instances_counts_once(
    instances: tuple[Caller, Caller], world: World
) -> None:
    users = [f"user-{number}" for number in range(ROUNDS)]

    async def race(user: str) -> tuple[int, int]:
        answers = await asyncio.gather(*(give(instances[n % 2], user, 10, f"event of {user}") for n in range(4)))
        assert [answer.status_code for answer in answers] == [200] * 4
        fresh = [answer for answer in answers if "idempotency-hit" not in answer.headers]
        return len({answer.content for answer in answers}), len(fresh)

    assert await in_waves(race, users, together=10) == [(1, 1)] * ROUNDS
    assert await balances(world, users) == dict.fromkeys(users, (10, 1))
    assert await world.broken_promises() == []


async def test_one_event_for_two_users_at_two_instances_is_one_users(
    instances: tuple[Caller, Caller], world: World
) -> None:
    async def race(number: int) -> dict[str, str]:
        pair = [f"left-{number}", f"right-{number}"]
        answers = await asyncio.gather(
            *(give(instance, user, 10, f"event {number}") for instance, user in zip(instances, pair, strict=True))
        )
        return {user: outcome(answer) for user, answer in zip(pair, answers, strict=True)}

    outcomes = await in_waves(race, range(ROUNDS), together=10)

    assert [sorted(pair.values()) for pair in outcomes] == [["IDEMPOTENCY_MISMATCH", "done"]] * ROUNDS
    given = {user for pair in outcomes for user, outcome in pair.items() if outcome == "done"}
    refused = {user for pair in outcomes for user in pair} - given
    found = await balances(world, given | refused)
    assert {user: found.get(user, (0, 0)) for user in refused} == dict.fromkeys(refused, (0, 0))
    assert {user: found[user] for user in given} == dict.fromkeys(given, (10, 1))
    assert await world.broken_promises() == []


async def sessions(superuser: Session) -> set[int]:
    """Return the sessions of the service in this database."""
    rows = await superuser.fetch(
        "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tallystick'"
    )
    return {row["pid"] for row in rows}


async def deadlocks(superuser: Session, still_there: set[int]) -> int:
    """Return how many there were in this database; sessions report theirs when they have ended."""
    for pid in await sessions(superuser) - still_there:
        await superuser.execute("SELECT pg_terminate_backend($1, 30000)", pid)  # waits for its end
    await superuser.execute("SELECT pg_stat_clear_snapshot()")
    found: int = await superuser.fetchval("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return found
