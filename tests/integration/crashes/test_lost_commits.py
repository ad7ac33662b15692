"""Connections that are lost at the commit: the answer is the one effect, and what nobody knows is no failure."""

import asyncio
import os
from collections import Counter
from collections.abc import Iterator
from typing import Literal

import httpx2
import pytest

from tallystick.application.idempotency import Keyed
from tallystick.domain.invites import Invite
from tallystick.domain.rating_slips import Slip
from tallystick.domain.rewards import Reward
from tallystick.domain.users import UserId
from tests.http.services import Caller
from tests.integration.postgres.wires import Fault, Wire
from tests.integration.races.purses import buy, give, with_credits
from tests.unit.behaviours.test_http_loyalty import award
from tests.worlds.world import World

CUTS = int(os.environ.get("TALLYSTICK_TEST_CUTS", "40"))  # `make storm` takes more
PRICE = 40
FAULTS: tuple[Fault, ...] = ("cut before the commit", "cut after the commit")
USERS = [f"user-{number:03}" for number in range(CUTS)]

Kind = Literal["purchase", "redemption", "grant", "award", "completion"]
KINDS: tuple[Kind, ...] = ("purchase", "redemption", "grant", "award", "completion")
EVENTS = {"award": "manual_reward", "completion": "rating_slip"}


class Shop:
    """Purchases, redemptions, grants and slips, and how often each took effect."""

    def __init__(self, world: World, reward: Reward, invite: Invite, slips: dict[str, Slip]) -> None:
        self._world, self._reward, self._invite, self._slips = world, reward, invite, slips

    @classmethod
    async def opened(cls, world: World) -> "Shop":
        await with_credits(world, USERS, 100)
        async with world.transactions.begin() as stores:
            await stores.users.admit([UserId(user) for user in USERS], world.clock.now())
        opened = await world.open_slips([Keyed(world.new_slip(user)) for user in USERS])
        slips = {str(slip.player_id): slip for slip in opened if isinstance(slip, Slip)}
        return cls(world, await world.a_reward(cost=PRICE), await world.an_invite(max_uses=10 * CUTS), slips)

    async def send(self, kind: Kind, instance: Caller, user: str, key: str | None) -> httpx2.Response:
        match kind:
            case "purchase":
                return await buy(instance.named(user), self._reward, key=key)
            case "redemption":
                return await instance.named(user).post("/api/invites/redeem", {"code": self._invite.code}, key=key)
            case "grant":
                return await give(instance, user, 5, f"event of {user}", key=f"{user}.{key}" if key else None)
            case "award":
                return await award(instance, user, 5, reward_id="gift", key=f"{user}.{key}" if key else None)
            case "completion":
                pit = instance.named("pit", "slips:write")
                path = f"/api/rating-slips/{self._slips[user].slip_id}/complete"
                return await pit.post(path, key=f"{user}.{key}" if key else None)

    async def effects(self, kind: Kind) -> dict[str, int]:
        """Return how often each user's request took effect, where it did."""
        assert await self._world.broken_promises() == []
        if kind == "redemption":
            return Counter(use.user_id for use in await self._world.seats(self._invite, limit=10 * CUTS))
        if kind in EVENTS:
            earned = [entry for user in USERS for entry in await self._world.point_entries(user)]
            return Counter(entry.user_id for entry in earned if entry.event_type == EVENTS[kind])
        change = -PRICE if kind == "purchase" else 5
        entries = [entry for user in USERS for entry in await self._world.entries(user)]
        return Counter(entry.user_id for entry in entries if entry.amount == change)


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_a_commit_that_is_cut_once_is_answered_with_its_one_effect(
    kind: Kind, fault: Fault, wired_instances: list[tuple[Wire, Caller]], world: World
) -> None:
    shop = await Shop.opened(world)
    waiting = iter(enumerate(USERS))

    async def cut_one_after_the_other(wire: Wire, instance: Caller, turns: Iterator[tuple[int, str]]) -> None:
        for number, user in turns:
            key = "key" if number % 2 else None
            wire.cut_once(fault)
            answer = await shop.send(kind, instance, user, key)
            while answer.status_code == 409 and answer.json()["code"] == "IDEMPOTENCY_IN_PROGRESS":
                # The session that was cut off has not noticed yet, and holds the key.
                answer = await shop.send(kind, instance, user, key)
            assert answer.status_code == 200, answer.text

    await asyncio.gather(*(cut_one_after_the_other(wire, instance, waiting) for wire, instance in wired_instances))

    assert sum(wire.cuts for wire, _ in wired_instances) == CUTS
    assert await shop.effects(kind) == dict.fromkeys(USERS, 1)


@pytest.mark.parametrize("fault", FAULTS)
async def test_while_every_commit_is_cut_nobody_gets_a_failure_and_the_next_try_answers_the_one_effect(
    fault: Fault, wired_instances: list[tuple[Wire, Caller]], world: World
) -> None:
    shop = await Shop.opened(world)

    async def try_in_vain_and_again(kind: Kind, user: str, wire: Wire, instance: Caller) -> str:
        wire.fault = fault
        lost = await shop.send(kind, instance, user, "key")
        wire.heal()
        again = await shop.send(kind, instance, user, "key")
        assert again.status_code == 200, again.text
        return "done" if lost.status_code == 200 else str(lost.json()["code"])

    asked = list(zip(KINDS * 3, USERS, wired_instances, strict=False))
    replies = await asyncio.gather(*(try_in_vain_and_again(kind, user, *wired) for kind, user, wired in asked))

    # Before, nothing is ever stored; after, the second try finds it, and is cut off from its own end again.
    assert set(replies) == {"OUTCOME_UNKNOWN"}
    for kind in KINDS:
        assert await shop.effects(kind) == {user: 1 for its, user, _ in asked if its == kind}
