"""Purchases that race: a credit is spent once, and a reward is collected once, on any instance."""

import asyncio
from collections import Counter

from tests.http.services import Caller
from tests.integration.races.purses import balances, buy, in_waves, outcome, with_credits
from tests.worlds.world import World

ROUNDS = 500
CLAIMS = 20


async def test_of_two_rewards_that_a_balance_cannot_both_pay_exactly_one_is_bought(
    instances: tuple[Caller, Caller], world: World
) -> None:
    rewards = [await world.a_reward(cost=60), await world.a_reward(cost=60)]
    users = await with_credits(world, [f"user-{number}" for number in range(ROUNDS)], 100)

    async def race(number: int) -> list[str]:
        order = (0, 1) if number // 50 % 2 else (1, 0)  # each instance is asked first in half of the waves
        answers = await asyncio.gather(*(buy(instances[n].named(users[number]), rewards[n]) for n in order))
        return [outcome(answers[order.index(n)]) for n in (0, 1)]

    outcomes = await in_waves(race, range(ROUNDS), together=50)

    assert {tuple(sorted(pair)) for pair in outcomes} == {("INSUFFICIENT_FUNDS", "done")}
    assert all(any(pair[n] == "done" for pair in outcomes) for n in (0, 1)), "one instance was always too late"
    assert await balances(world, users) == dict.fromkeys(users, (40, 2))
    assert await world.broken_promises() == []


async def test_of_many_claims_of_one_reward_by_one_user_one_is_paid_for(
    instances: tuple[Caller, Caller], world: World
) -> None:
    reward = await world.a_reward(cost=60)
    users = await with_credits(world, [f"user-{number}" for number in range(100)], 1000)

    async def race(user: str) -> Counter[str]:
        answers = await asyncio.gather(*(buy(instances[n % 2].named(user), reward) for n in range(CLAIMS)))
        return Counter(map(outcome, answers))

    outcomes = await in_waves(race, users, together=10)

    assert outcomes == [{"done": 1, "ALREADY_COLLECTED": CLAIMS - 1}] * 100
    assert await balances(world, users) == dict.fromkeys(users, (940, 2))
    assert await world.broken_promises() == []


async def test_a_price_that_changes_meanwhile_is_the_one_that_the_answer_shows(
    instances: tuple[Caller, Caller], world: World
) -> None:
    first, second = instances
    reward = await world.a_reward(cost=10)
    users = await with_credits(world, [f"user-{number}" for number in range(200)], 100)
    owner = second.named(reward.owner_id)

    async def buy_or_change(number: int) -> int | None:
        if number % 5 == 0:
            body = {"cost": 10 + number % 7}
            changed = await owner.call("PATCH", f"/api/rewards/{reward.reward_id}", body=body)
            assert changed.status_code == 200, changed.text
            return None
        answer = await buy(first.named(users[number]), reward)
        assert outcome(answer) == "done", answer.text
        cost: int = answer.json()["cost"]
        return cost

    costs = await in_waves(buy_or_change, range(len(users)), together=20)

    paid = {user: cost for user, cost in zip(users, costs, strict=True) if cost is not None}
    assert len(set(paid.values())) > 1
    assert await balances(world, paid) == {user: (100 - cost, 2) for user, cost in paid.items()}
    assert await world.broken_promises() == []
