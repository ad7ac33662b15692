"""Every night, one of all instances reconciles the legacy metadata."""

import asyncio

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reconciliation import MetadataDrift, ReconcileMetadata
from tallystick.application.schedules import due_since
from tallystick.application.transactions import StoreFailure, Transactions
from tallystick.application.work_lease import WorkLease
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.refusals import Unavailable

NAME = "reconcile_metadata"
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
        self._reconcile, self._flags = reconcile, flags
        self._clock, self._randomness, self._hour = clock, randomness, hour
        self._lease = WorkLease(NAME, transactions, clock, randomness)

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
        if not await self._lease.take(due_at=due_since(self._clock.now(), hour=self._hour)):
            return None
        found = MetadataDrift()
        async for drift in self._reconcile.pages(is_to_repair=True, report_failure=_passed_over):
            found = found.plus(drift)
            if not await self._lease.keep():
                return found
        await self._lease.done()
        return found


def _passed_over(failure: Exception) -> None:
    logger().warning("a page of users could not be reconciled", error=failure)
