"""Every night, one of all instances reconciles the legacy metadata."""

import asyncio
from datetime import datetime, timedelta

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import run_with_retries
from tallystick.application.reconciliation import MetadataDrift, ReconcileMetadata
from tallystick.application.schedules import due_since
from tallystick.application.transactions import StoreFailure, Transactions
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.refusals import Unavailable

NAME = "reconcile_metadata"
LEASE = timedelta(minutes=5)
"""Longer than any page takes; after that, another instance takes over from one that was killed."""
POLL_SECONDS = 60.0


class Nightly:
    """Repairs differences between code book and legacy metadata each night, while the fallback is on."""

    def __init__(
        self,
        transactions: Transactions,
        reconcile: ReconcileMetadata,
        flags: Flags,
        clock: Clock,
        randomness: Randomness,
        hour: int,
    ) -> None:
        self._transactions, self._reconcile, self._flags = transactions, reconcile, flags
        self._clock, self._randomness, self._hour = clock, randomness, hour

    async def run(self) -> None:
        """Check regularly until cancelled; a failed night is tried again when its lease has expired."""
        while True:
            try:
                drift = await self.reconcile_if_due()
            except (Unavailable, StoreFailure) as error:
                logger().warning("the nightly reconciliation has to wait", error=error)
            except Exception as error:  # noqa: BLE001  a bug in here must not end the loop
                logger().error("the nightly reconciliation failed", error=error)
            else:
                if drift is not None:
                    facts = {"users": drift.users, "repaired": drift.total, "failed": drift.failed}
                    logger().info("the legacy metadata was reconciled", **facts)
            await asyncio.sleep(POLL_SECONDS * (0.5 + self._randomness.fraction()))

    async def reconcile_if_due(self) -> MetadataDrift | None:
        """Reconcile where this night's run is missing and no other instance runs it; None where there is nothing to do.

        A night in which no instance was running is caught up on.
        """
        if not self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED):
            return None
        held_until = await self._lease()
        if held_until is None:
            return None
        found = MetadataDrift()
        async for drift in self._reconcile.pages(is_to_repair=True, report_failure=_passed_over):
            found = found.plus(drift)
            until = self._clock.now() + LEASE
            if not await self._renew(held_until, until):
                return found
            held_until = until
        await self._done(held_until)
        return found

    async def _renew(self, held_until: datetime, until: datetime) -> bool:
        async def renew() -> bool:
            async with self._transactions.begin() as stores:
                return await stores.schedules.renew(NAME, held_until=held_until, until=until)

        return await run_with_retries(renew, self._randomness)

    async def _done(self, held_until: datetime) -> None:
        async def done() -> bool:
            async with self._transactions.begin() as stores:
                return await stores.schedules.done(NAME, held_until=held_until, at=self._clock.now())

        await run_with_retries(done, self._randomness)

    async def _lease(self) -> datetime | None:
        now = self._clock.now()
        until, due_at = now + LEASE, due_since(now, hour=self._hour)
        async with self._transactions.begin() as stores:
            is_ours = await stores.schedules.lease(NAME, now=now, until=until, due_at=due_at)
        return until if is_ours else None


def _passed_over(failure: Exception) -> None:
    logger().warning("a page of users could not be reconciled", error=failure)
