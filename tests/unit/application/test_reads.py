"""Reads: asked again where a connection was lost, and given up where there is no use in it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores, StoreUnavailable, TransactionAborted
from tallystick.domain.refusals import Overloaded
from tallystick.domain.users import UserId


class Half:
    """Chance that is always in the middle."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)

    def fraction(self) -> float:
        return 0.5


class Failing(MemoryTransactions):
    """Transactions in memory that fail to read as the test says."""

    def __init__(self, *failures: Exception) -> None:
        super().__init__()
        self.failures = list(failures)
        self.tries = 0

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        self.tries += 1
        if self.failures:
            raise self.failures.pop(0)
        async with super().reading() as stores:
            yield stores


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Return how long was waited, without waiting."""
    waited: list[float] = []

    async def sleep(seconds: float) -> None:
        waited.append(seconds)

    monkeypatch.setattr("tallystick.application.reads.asyncio.sleep", sleep)
    return waited


async def ask(transactions: Failing) -> set[UserId]:
    return await Reads(transactions, Half())(lambda stores: stores.users.deleted([]))


async def test_a_lost_connection_is_asked_again_with_ever_longer_pauses(pauses: list[float]) -> None:
    transactions = Failing(*[TransactionAborted("08006")] * 4)

    assert await ask(transactions) == set()
    assert transactions.tries == 5
    assert pauses == [0.025, 0.05, 0.1, 0.2]


async def test_after_five_tries_it_is_given_up(pauses: list[float]) -> None:
    transactions = Failing(*[TransactionAborted("08006")] * 6)

    with pytest.raises(Overloaded):
        await ask(transactions)
    assert transactions.tries == 5


async def test_where_asking_again_is_no_use_it_is_not_done(pauses: list[float]) -> None:
    transactions = Failing(StoreUnavailable("53100"))

    with pytest.raises(Overloaded):
        await ask(transactions)
    assert (transactions.tries, pauses) == (1, [])
