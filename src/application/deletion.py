"""Deletion: one way in which users leave, whoever says so."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from application.ports import Clock
from application.transactions import Stores, Transactions
from application.users import Roll, enter
from domain.refusals import Refusal
from domain.users import User, UserId, UserNotFound

UNDER_WAY = timedelta(minutes=15)
"""Much longer than a request may take, and than clocks of instances differ."""
BITE = 1000


class Deletion(msgspec.Struct, frozen=True):
    """Delete a user."""

    user_id: UserId
    at: datetime


class Deleted(msgspec.Struct, frozen=True):
    """A user who is gone, and since when."""

    user_id: UserId
    deleted_at: datetime


class DeleteUsers:
    """Empty users of what names a person; who was deleted already stays so since then.

    UserNotFound only for those whom nothing names: who is staged by a backfill or was given something and never came
    is entered and deleted, so that nobody brings them in later.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, deletions: Sequence[Deletion]) -> list[Deleted | Refusal]:
        async with self._transactions.begin() as stores:
            users = await _those_seen(stores, {deletion.user_id for deletion in deletions}, deletions[0].at)
            roll, since = Roll(users, users.values(), at=deletions[0].at), dict[UserId, datetime]()
            for deletion in deletions:
                user = users.get(deletion.user_id)
                if user is not None:
                    roll.keep(roll[user.user_id].deleted(deletion.at))
                    since[user.user_id] = roll[user.user_id].deleted_at or deletion.at
            await roll.store(stores)
            # Those who left before too: what a request that was under way stored behind their deletion goes now.
            await depart(stores, sorted(since), deletions[0].at)
        return [_outcome(deletion.user_id, since) for deletion in deletions]


class FinishDeletions:
    """Take along what requests that were under way stored behind the deletion of their callers; safe to repeat."""

    def __init__(self, transactions: Transactions, clock: Clock) -> None:
        self._transactions, self._clock = transactions, clock

    async def __call__(self, *, bite: int = BITE) -> None:
        now = self._clock.now()
        after: tuple[datetime, UserId] | None = (now - UNDER_WAY, UserId(""))
        while after is not None:
            async with self._transactions.begin() as stores:
                leavers = await stores.users.leavers(after=after, limit=bite)
                # Two instances that do it at once queue instead of deadlocking.
                gone = await stores.users.lock([user_id for _, user_id in leavers])
                await depart(stores, sorted(gone), now)
            after = leavers[-1] if len(leavers) == bite else None


async def _those_seen(stores: Stores, user_ids: set[UserId], at: datetime) -> dict[UserId, User]:
    """Lock and return those whom any row names; a slip of the pen in an id creates nobody."""
    users = await stores.users.lock(user_ids)
    if unseen := user_ids - users.keys():
        users |= await enter(stores, await stores.users.named(unseen), at)
    return users


async def depart(stores: Stores, user_ids: Sequence[UserId], at: datetime) -> None:
    """Let those whose rows were emptied leave the other tables, as `domain/dispositions.py` says; safe to repeat."""
    if user_ids:
        await stores.codes.retire(user_ids, at)
        await stores.attempts.forget(user_ids)
        await stores.mirror.erase(user_ids)
        await stores.legacy.forget(user_ids)
        await stores.directory.forget(user_ids)
        await stores.rewards.withdraw(user_ids)
        await stores.idempotency.drop(user_ids)


def _outcome(user_id: UserId, since: dict[UserId, datetime]) -> Deleted | Refusal:
    return Deleted(user_id, since[user_id]) if user_id in since else UserNotFound()
