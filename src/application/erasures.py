"""Erasures: rows of a deleted user are erased in steps; each step is a transaction of bounded size."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta

from tallystick.application.channel_erasures import leave_channels
from tallystick.application.overlay_erasures import leave_overlays
from tallystick.application.ports import Clock, Randomness
from tallystick.application.stage_rooms import leave_rosters
from tallystick.application.topics import AnnounceTopics, Appending, announce_nothing
from tallystick.application.transactions import StoreFailure, Stores, Transactions
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.rewards import RewardId
from tallystick.domain.users import UserId

MAX_REQUEST_TIME = timedelta(minutes=15)
"""Much longer than a request may take, and than the clocks of instances differ."""
STEP_ROWS = 1000
"""The largest number of rows of one table in a step."""
BATCH_USERS = 1000
MAX_STEPS = 2000
"""The largest number of steps in a round; the next round continues."""
IMMEDIATE_USERS = 16
"""For how many users a batch of deletions makes the first step; the next round makes it for the others."""

_Eraser = Callable[[Stores, UserId, datetime, str, int, Appending], Awaitable[str | None]]
"""Erases the first rows of a user after a key; returns the last key, or None where no rows are left."""


async def _retire(stores: Stores, user_id: UserId, at: datetime, after: str, limit: int, _: Appending) -> str | None:
    return await stores.codes.retire_aliases(user_id, at, after=after, limit=limit)


async def _withdraw(stores: Stores, user_id: UserId, _at: datetime, after: str, limit: int, _: Appending) -> str | None:
    return await stores.rewards.withdraw(user_id, after=after, limit=limit)


async def _drop(stores: Stores, user_id: UserId, _at: datetime, after: str, limit: int, _: Appending) -> str | None:
    return await stores.idempotency.drop(user_id, after=after, limit=limit)


# Topics come last in the order of locks.
ERASERS: Sequence[_Eraser] = (_retire, _withdraw, _drop, leave_rosters, leave_overlays, leave_channels)
"""Every table of which one user may hold many rows that a deletion changes or removes."""


async def erase_single_rows(stores: Stores, user_ids: Collection[UserId], at: datetime) -> None:
    """Erase the tables with few rows for each user, in the transaction that marks these locked users as deleted.

    `EraseTraces` erases the rest; the stored mark survives a crash.
    """
    if user_ids:
        ordered = sorted(user_ids)
        await stores.codes.retire(ordered, at)
        await stores.attempts.forget(ordered)
        await stores.mirror.erase(ordered)
        await stores.legacy.forget(ordered)
        await stores.directory.forget(ordered)
        # After the credentials: a session starts under their lock.
        await stores.sessions.end([session.key for session in await stores.sessions.find(ordered)])
        await stores.erasures.begin(ordered, at)


class EraseTraces:
    """Erase rows of deleted users in steps; any instance can continue where another one stopped."""

    def __init__(
        self, transactions: Transactions, randomness: Randomness, announce: AnnounceTopics = announce_nothing
    ) -> None:
        self._transactions, self._randomness, self._announce = transactions, randomness, announce

    async def begin(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Make the first step for a few of these users; most users need no other.

        An error here does not fail the deletion: the mark stays, and the next round continues.
        """
        for user_id in sorted(user_ids)[:IMMEDIATE_USERS]:
            try:
                await self(user_id, at, max_steps=1)
            except StoreFailure:
                return

    async def __call__(self, user_id: UserId, at: datetime, *, max_steps: int | None = None) -> int:
        """Make steps until no rows are left or `max_steps` is reached; return how many were made."""
        after: list[str | None] = [""] * len(ERASERS)
        made = 0
        while max_steps is None or made < max_steps:
            appending = Appending(self._randomness, set())
            async with self._transactions.begin() as stores:
                # Another instance that erases the same user waits here, and finds that the mark is removed.
                if not await stores.erasures.lock(user_id):
                    return made
                for number, erase in enumerate(ERASERS):
                    key = after[number]
                    if key is not None:
                        after[number] = await erase(stores, user_id, at, key, STEP_ROWS, appending)
                is_last = not any(key is not None for key in after)
                if is_last:
                    await stores.erasures.end(user_id)
            self._announce(appending.changed)
            made += 1
            if is_last:
                break
        return made


class FinishErasures:
    """Finish the erasure of deleted users, on any instance; safe to repeat, also after a crash at any step.

    A request in flight during the deletion of its caller may store a reply or a reward after the deletion. Rounds look
    for such rows until a quarter of an hour after the deletion.
    """

    def __init__(self, transactions: Transactions, clock: Clock, erase: EraseTraces) -> None:
        self._transactions, self._clock, self._erase = transactions, clock, erase

    async def __call__(self, *, batch_users: int = BATCH_USERS) -> None:
        now = self._clock.now()
        await self._mark_late_rows(now, batch_users)
        after, left = UserId(""), MAX_STEPS
        while left > 0:
            async with self._transactions.reading() as stores:
                waiting = await stores.erasures.waiting(after=after, limit=batch_users)
            for user_id in waiting:
                left -= await self._erase(user_id, now, max_steps=left)
                if left <= 0:
                    return
            if len(waiting) < batch_users:
                return
            after = waiting[-1]

    async def _mark_late_rows(self, now: datetime, batch_users: int) -> None:
        newest = RewardId(uuid_v7(now - 2 * MAX_REQUEST_TIME, bytes(RANDOM_BYTES)))
        after: tuple[datetime, UserId] | None = (now - MAX_REQUEST_TIME, UserId(""))
        while after is not None:
            async with self._transactions.begin() as stores:
                deleted = await stores.users.deleted_since(after=after, limit=batch_users)
                late = await stores.erasures.left_behind([user_id for _, user_id in deleted], newest=newest)
                if late:
                    # In key order, so that two instances at once queue instead of deadlocking.
                    await stores.erasures.begin(await stores.users.lock(sorted(late)), now)
            after = deleted[-1] if len(deleted) == batch_users else None
