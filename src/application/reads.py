"""Reads: what needs no transaction, tried again where a connection was lost."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from application.ports import Randomness
from application.transactions import Stores, StoreUnavailable, TransactionAborted, Transactions
from domain.refusals import Overloaded
from domain.standings import Standing
from domain.users import UserId

T = TypeVar("T")

TRIES = 5
_FIRST_PAUSE_SECONDS = 0.05


class Reads:
    """Answers a question from the stores; Overloaded when they cannot answer now."""

    def __init__(self, transactions: Transactions, randomness: Randomness) -> None:
        self._transactions, self._randomness = transactions, randomness

    async def __call__(self, ask: Callable[[Stores], Awaitable[T]]) -> T:
        pause = _FIRST_PAUSE_SECONDS
        for _ in range(TRIES):
            try:
                async with self._transactions.reading() as stores:
                    return await ask(stores)
            except TransactionAborted:
                await asyncio.sleep(pause * self._randomness.fraction())
                pause *= 2
            except StoreUnavailable:
                break
        raise Overloaded("the database cannot answer now; ask again")


class ReadStandings:
    """Read how users stand: one statement for all who ask at once; None for those never seen."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, user_ids: Sequence[UserId]) -> list[Standing | None]:
        async with self._transactions.reading() as stores:
            standings = await stores.standings.of(set(user_ids))
        return [standings.get(user_id) for user_id in user_ids]


class TellDeleted:
    """Tell which callers were deleted, whatever their tokens say: one statement for all who ask at once."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, user_ids: Sequence[UserId]) -> list[bool]:
        async with self._transactions.reading() as stores:
            deleted = await stores.users.deleted(set(user_ids))
        return [user_id in deleted for user_id in user_ids]
