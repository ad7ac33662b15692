"""Work under a lease: of all instances, the one that holds the lease does it."""

from datetime import datetime, timedelta

from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import run_with_retries
from tallystick.application.transactions import Transactions

LEASE = timedelta(minutes=5)
"""Longer than any step takes; after that, another instance takes over from one that was killed."""


class WorkLease:
    """The lease of one schedule, as one instance takes, renews and ends it."""

    def __init__(self, name: str, transactions: Transactions, clock: Clock, randomness: Randomness) -> None:
        self._name, self._transactions, self._clock, self._randomness = name, transactions, clock, randomness
        self._held_until: datetime | None = None

    async def take(self, *, due_at: datetime) -> bool:
        """Take the lease; False where another instance holds it or the work was done since it was due."""
        now = self._clock.now()
        until = now + LEASE
        async with self._transactions.begin() as stores:
            is_ours = await stores.schedules.lease(self._name, now=now, until=until, due_at=due_at)
        self._held_until = until if is_ours else None
        return is_ours

    async def keep(self) -> bool:
        """Extend the lease once half of it has passed; False where another instance took it."""
        held_until, until = self._held(), self._clock.now() + LEASE
        if until - held_until < LEASE / 2:
            return True

        async def renew() -> bool:
            async with self._transactions.begin() as stores:
                return await stores.schedules.renew(self._name, held_until=held_until, until=until)

        self._held_until = until
        return await run_with_retries(renew, self._randomness)

    async def done(self) -> None:
        """Release the lease and record that the work was done."""
        held_until = self._held()

        async def done() -> bool:
            async with self._transactions.begin() as stores:
                return await stores.schedules.done(self._name, held_until=held_until, at=self._clock.now())

        await run_with_retries(done, self._randomness)

    def _held(self) -> datetime:
        if self._held_until is None:
            raise RuntimeError("the lease was not taken")
        return self._held_until
