"""Cycles that are built at the same time: the last edge is refused, for any number of users."""

import asyncio
from collections import Counter
from itertools import pairwise

import pytest

from tests.http.services import Caller
from tests.unit.behaviours.test_http_referrals import code_of
from tests.worlds.world import World

ROUNDS = 8


async def name(instance: Caller, user: str, code: str) -> str:
    """Let a user name an inviter, and return what came of it."""
    answer = await instance.named(user).post("/api/users/upsert", {"referred_by": code})
    assert answer.status_code == 200, answer.text
    body = answer.json()
    return str(body.get("attribution_reason", body["attribution"]))


@pytest.mark.parametrize("length", [3, 4, 5, 8])
async def test_a_ring_that_its_users_build_at_once_stays_open(
    instances: tuple[Caller, Caller], world: World, length: int
) -> None:
    rings = [[f"user-{ring}-{number}" for number in range(length)] for ring in range(ROUNDS)]
    codes = {user: await code_of(instances[0], user) for ring in rings for user in ring}

    async def build(ring: list[str]) -> list[str]:
        return await asyncio.gather(
            *(name(instances[number % 2], user, codes[ring[number - 1]]) for number, user in enumerate(ring))
        )

    outcomes = await asyncio.gather(*(build(ring) for ring in rings))

    assert [Counter(outcome) for outcome in outcomes] == [Counter(recorded=length - 1, cycle=1)] * ROUNDS
    for ring in rings:
        assert [await world.inviter(user) for user in ring].count(None) == 1
    assert await world.broken_promises() == []


async def test_chains_that_are_joined_to_a_ring_at_once_stay_open(
    instances: tuple[Caller, Caller], world: World
) -> None:
    """Each of three chains of three names the end of the next: no two of these share a user."""
    for turn in range(ROUNDS):
        chains = [[f"user-{turn}-{chain}-{number}" for number in range(3)] for chain in range(3)]
        codes = {user: await code_of(instances[0], user) for chain in chains for user in chain}
        for chain in chains:
            for upper, lower in pairwise(chain):
                assert await name(instances[0], lower, codes[upper]) == "recorded"

        outcomes = await asyncio.gather(
            *(name(instances[n % 2], chains[n][0], codes[chains[(n + 1) % 3][-1]]) for n in range(3))
        )

        assert Counter(outcomes) == Counter(recorded=2, cycle=1)
    assert await world.broken_promises() == []
