"""Reconciliation that meets failures: a page is tried again, and one that fails for good holds up nobody behind it."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.reads import TRIES
from tallystick.application.reconciliation import MetadataDrift, ReconcileMetadata
from tallystick.application.transactions import CommitUncertain, Stores, StoreUnavailable, TransactionAborted
from tallystick.domain.users import User, UserId
from tallystick.entrypoints.worker.nightly import Nightly
from tests.unit.entrypoints.test_upkeep import Failing, NoPause
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


class Poisoned:
    """Transactions in memory in which one user cannot be locked."""

    def __init__(self, transactions: MemoryTransactions, user: str, failure: Exception) -> None:
        self._transactions, self._user, self._failure = transactions, UserId(user), failure
        self.reading, self.snapshot = transactions.reading, transactions.snapshot
        self.tries = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        async with self._transactions.begin() as stores:
            lock = stores.users.lock

            async def locked(user_ids: Collection[UserId]) -> dict[UserId, User]:
                if self._user in user_ids:
                    self.tries += 1
                    raise self._failure
                return await lock(user_ids)

            stores.users.lock = locked  # type: ignore[method-assign]  # this one object's
            yield stores


@pytest.fixture
async def world() -> World:
    world = World(MemoryBackend())
    world.fall_back()
    for number in range(3):
        await world.imported(f"user{number}", f"1000{number}")
    return world


def memory(world: World) -> MemoryTransactions:
    assert isinstance(world.transactions, MemoryTransactions)
    return world.transactions


def over(world: World, transactions: Failing | Poisoned) -> ReconcileMetadata:
    return ReconcileMetadata(transactions, world.clock, NoPause(), world.metrics, world.candidates)


@pytest.mark.parametrize("failure", [CommitUncertain(), TransactionAborted("40P01")], ids=repr)
async def test_a_page_whose_outcome_is_not_known_or_that_was_aborted_is_run_again(
    world: World, failure: Exception
) -> None:
    failures: list[Exception] = []
    reconcile = over(world, Failing(memory(world), [failure] * (TRIES - 1)))

    pages = [page async for page in reconcile.pages(is_to_repair=True, size=3, report_failure=failures.append)]

    assert pages == [MetadataDrift(users=3, unadopted=3, missing=3)]
    assert failures == []
    assert await world.drift() == {}


@pytest.mark.parametrize(
    ("failure", "tries"),
    [(CommitUncertain(), TRIES), (StoreUnavailable("57014"), 1), (RuntimeError("a bug"), 1)],
    ids=repr,
)
async def test_a_page_that_fails_for_good_is_reported_and_skipped(world: World, failure: Exception, tries: int) -> None:
    failures: list[Exception] = []
    poisoned = Poisoned(memory(world), "user1", failure)

    pages = [
        page async for page in over(world, poisoned).pages(is_to_repair=True, size=1, report_failure=failures.append)
    ]

    assert [(page.users, page.failed) for page in pages] == [(1, 0), (0, 1), (1, 0)]
    assert (len(failures), poisoned.tries) == (1, tries)
    assert await world.drift() == {"unadopted": 1}


async def test_a_page_that_fails_every_night_costs_nobody_else_theirs(world: World) -> None:
    reconcile = over(world, Poisoned(memory(world), "user1", StoreUnavailable("57014")))
    night = Nightly(world.transactions, reconcile, world.flags, world.clock, world.randomness, 3)
    assert await night.reconcile_if_due() is None
    world.pass_time(days=1)

    assert await night.reconcile_if_due() is not None
    world.pass_time(minutes=10)
    assert await night.reconcile_if_due() is None
