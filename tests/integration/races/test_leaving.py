"""Deletions during running requests: in every order of commits, no row of the deleted user stays."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tallystick.application.deletion import DeleteUsers, Deletion
from tallystick.application.erasures import EraseTraces
from tallystick.application.idempotency import Keyed
from tallystick.application.rewards import ChangeReward, OfferReward, OfferRewards, PurchaseRewards
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.dispositions import WITHDRAWN
from tallystick.domain.refusals import Failure
from tallystick.domain.rewards import Reward, RewardId
from tallystick.domain.users import UserDeleted, UserId
from tests.integration.postgres.sessions import Session
from tests.integration.races.waiting import until_waiting_or_done
from tests.worlds.world import World

ADA = UserId("ada")
Offering = Callable[[World, Reward], OfferReward | ChangeReward]


def _offer(world: World, _hers: Reward) -> OfferReward:
    return OfferReward(world.reward(owner=ADA))


def _change(_world: World, hers: Reward) -> ChangeReward:
    return ChangeReward(ADA, hers.reward_id, name="Coffee with Ada", description="+4512345678", active=True)


OFFERINGS = pytest.mark.parametrize("offering", [_offer, _change])


class Lingering:
    """Transactions that have done all their work and commit when they are let go."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions, self.snapshot = transactions, transactions.snapshot
        self.is_done, self.let_go = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        async with self._transactions.begin() as stores:
            yield stores
            self.is_done.set()
            await self.let_go.wait()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        async with self._transactions.reading() as stores:
            yield stores


async def rewards_of(world: World, *reward_ids: RewardId) -> list[tuple[str, str | None, bool]]:
    """Return what is left of the rewards that are there."""
    async with world.transactions.begin() as stores:
        found = [await stores.rewards.lock(reward_id) for reward_id in reward_ids]
    return [(reward.name, reward.description, reward.active) for reward in found if reward is not None]


@OFFERINGS
async def test_a_user_who_offers_while_they_are_deleted_is_refused(
    world: World, superuser: Session, offering: Offering
) -> None:
    await world.arrive(ADA)
    hers, lingering = await world.a_reward(owner=ADA), Lingering(world.transactions)
    deleting = asyncio.create_task(
        DeleteUsers(lingering, EraseTraces(lingering, world.randomness))([Deletion(ADA, world.clock.now())])
    )
    await lingering.is_done.wait()

    task = asyncio.create_task(world.offer_rewards([Keyed(offering(world, hers))]))
    await until_waiting_or_done(superuser, task)
    lingering.let_go.set()
    await deleting

    assert [type(outcome) for outcome in await task] == [UserDeleted]
    assert await world.rewards() == []
    assert await rewards_of(world, hers.reward_id) == [(WITHDRAWN, None, False)]


@OFFERINGS
async def test_a_reward_that_is_offered_just_before_a_deletion_is_withdrawn_by_it(
    world: World, superuser: Session, offering: Offering
) -> None:
    await world.arrive(ADA)
    hers, lingering = await world.a_reward(owner=ADA), Lingering(world.transactions)
    offered = asyncio.create_task(OfferRewards(lingering, world.once)([Keyed(offering(world, hers))]))
    await lingering.is_done.wait()

    task = asyncio.create_task(world.delete(ADA))
    await until_waiting_or_done(superuser, task)
    lingering.let_go.set()
    (late,) = await offered
    await task

    assert isinstance(late, Reward)
    assert await world.rewards() == []
    assert set(await rewards_of(world, hers.reward_id, late.reward_id)) == {(WITHDRAWN, None, False)}


async def test_rows_that_were_stored_behind_a_deletion_go_with_the_next_round(world: World) -> None:
    """A reply of a purchase, and an offer of somebody who has no row yet that a deletion could wait for."""
    await world.an_account(ADA, balance=40)
    order = world.keyed(ADA, world.order(ADA, await world.a_reward(cost=40)), "key")
    buying, offering = Lingering(world.transactions), Lingering(world.transactions)
    bought = asyncio.create_task(PurchaseRewards(buying, world.once)([order]))
    late = world.reward(owner="newcomer")
    offered = asyncio.create_task(OfferRewards(offering, world.once)([Keyed(OfferReward(late))]))
    for each in (buying, offering):
        await each.is_done.wait()

    await world.delete(ADA)
    await world.deliver("deleted", "newcomer")
    for each in (buying, offering):
        each.let_go.set()
    outcomes = [*await bought, *await offered]
    assert not [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    assert (await left(world, late)) == (1, [("a name", None, True)])

    await world.finish_erasures()

    assert await left(world, late) == (0, [(WITHDRAWN, None, False)])
    assert await world.balance_and_amounts(ADA) == (0, [40, -40])
    assert await world.broken_promises() == []


async def left(world: World, late: Reward) -> tuple[int, list[tuple[str, str | None, bool]]]:
    """Return how many replies ada has, and what is left of a reward."""
    async with world.transactions.begin() as stores:
        claims = await stores.idempotency.claim([world.key(ADA, "key", b"")])
    return sum(claim != "fresh" for claim in claims), await rewards_of(world, late.reward_id)
