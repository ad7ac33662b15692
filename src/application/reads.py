"""Reads: queries without a transaction, retried where a connection was lost."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Literal, TypeVar

import msgspec

from tallystick.application.ports import Randomness
from tallystick.application.transactions import (
    CommitUncertain,
    StoreFailure,
    Stores,
    StoreUnavailable,
    TransactionAborted,
    Transactions,
)
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Overloaded
from tallystick.domain.sessions import SessionKey
from tallystick.domain.user_summaries import UserSummary
from tallystick.domain.users import UserId

T = TypeVar("T")

TRIES = 5
_FIRST_BACKOFF_SECONDS = 0.05


class Reads:
    """Runs a query on the stores; Overloaded where the stores cannot answer now."""

    def __init__(self, transactions: Transactions, randomness: Randomness) -> None:
        self._transactions, self._randomness = transactions, randomness

    async def __call__(self, ask: Callable[[Stores], Awaitable[T]]) -> T:
        async def read() -> T:
            async with self._open() as stores:
                return await ask(stores)

        return await run_with_retries(read, self._randomness)

    def _open(self) -> AbstractAsyncContextManager[Stores]:
        return self._transactions.reading()


class SlowReads(Reads):
    """Reads of whole tables, each in one snapshot, on separate connections, so that requests do not wait for them."""

    def _open(self) -> AbstractAsyncContextManager[Stores]:
        return self._transactions.snapshot()


async def run_with_retries(run: Callable[[], Awaitable[T]], randomness: Randomness) -> T:
    """Run an idempotent operation until it succeeds; Overloaded after the last retry, or where a retry cannot help."""
    backoff = _FIRST_BACKOFF_SECONDS
    failure = StoreFailure()
    for _ in range(TRIES):
        try:
            return await run()
        except (TransactionAborted, CommitUncertain) as error:
            failure = error
            await asyncio.sleep(backoff * randomness.fraction())
            backoff *= 2
        except StoreUnavailable as error:
            failure = error
            break
    raise Overloaded(
        "the database cannot answer now; ask again", cause=failure.cause, sqlstate=failure.sqlstate
    ) from failure


class ReadUserSummaries:
    """Read the summaries of users, with one statement for all concurrent callers; None for users who do not exist.

    While the code book is not the source of truth, the summary shows the code of the legacy field, where that code
    belongs to the user and changes are mirrored to the field.
    """

    def __init__(self, transactions: Transactions, flags: Flags) -> None:
        self._transactions, self._flags = transactions, flags

    async def __call__(self, user_ids: Sequence[UserId]) -> list[UserSummary | None]:
        async with self._transactions.reading() as stores:
            user_summaries = await stores.user_summaries.of(set(user_ids))
            if self._shows_the_legacy_field():
                user_summaries = await _as_the_legacy_field_shows(stores, user_summaries)
        return [user_summaries.get(user_id) for user_id in user_ids]

    def _shows_the_legacy_field(self) -> bool:
        # With the fallback off nothing is mirrored: an old mirrored code would hide every remint.
        return not self._flags.enabled(Flag.TABLE_AS_SOT) and self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED)


async def _as_the_legacy_field_shows(
    stores: Stores, user_summaries: Mapping[UserId, UserSummary]
) -> dict[UserId, UserSummary]:
    shown = await stores.legacy.codes_of(user_summaries)
    entries = await stores.codes.resolve(set(shown.values()))
    theirs = {user_id: code for user_id, code in shown.items() if code in entries and entries[code].user_id == user_id}
    return {
        user_id: msgspec.structs.replace(summary, code=theirs.get(user_id, summary.code))
        for user_id, summary in user_summaries.items()
    }


CallerState = Literal["known", "deleted", "signed_out"]


class CheckCallers:
    """Look up which callers were deleted or signed out, in one read for all concurrent callers.

    A user with a living session was not deleted: users are looked up only for tokens and for ended sessions.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, callers: Sequence[Principal]) -> list[CallerState]:
        sessions = {caller.session for caller in callers if caller.session is not None}
        async with self._transactions.reading() as stores:
            living = await stores.sessions.living(sessions) if sessions else set[SessionKey]()
            without_session = {caller.user_id for caller in callers if caller.session not in living}
            deleted = await stores.users.deleted(without_session) if without_session else set[UserId]()
        return [_state(caller, living, deleted) for caller in callers]


def _state(caller: Principal, living: set[SessionKey], deleted: set[UserId]) -> CallerState:
    if caller.user_id in deleted:
        return "deleted"
    return "known" if caller.session is None or caller.session in living else "signed_out"
