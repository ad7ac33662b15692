"""Looking: at an interval, one of all instances counts the broken promises."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.invariant_looks import LookAtPromises
from tallystick.application.invariants import Invariant
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.transactions import StoreFailure, Transactions
from tallystick.application.work_lease import WorkLease
from tallystick.domain.refusals import Unavailable

NAME = "check_invariants"
POLL_SECONDS = 60.0


class LookAtInvariants:
    """Counts the broken promises each interval, bounded in time; an interval of 0 switches it off."""

    def __init__(
        self,
        transactions: Transactions,
        look: LookAtPromises,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        *,
        every_seconds: int,
    ) -> None:
        self._transactions, self._look, self._clock, self._randomness = transactions, look, clock, randomness
        self._metrics, self._every = metrics, timedelta(seconds=every_seconds)
        self._lease = WorkLease(NAME, transactions, clock, randomness)

    async def run(self) -> None:
        """Check regularly until cancelled; a look that failed is tried again when its lease has expired."""
        self._metrics.gauge("invariants_interval_seconds", self._every.total_seconds())
        while self._every:
            try:
                await self.look_if_due()
                await self.measure()
            except (Unavailable, StoreFailure) as error:
                logger().warning("the look at the invariants has to wait", error=error)
            except Exception as error:  # noqa: BLE001  a bug in here must not end the loop
                logger().error("the look at the invariants failed", error=error)
            pause = min(POLL_SECONDS, self._every.total_seconds())
            await asyncio.sleep(pause * (0.5 + self._randomness.fraction()))

    async def look_if_due(self) -> Sequence[Invariant] | None:
        """Look where the last look is older than the interval and no instance is looking.

        None where it is not due, and where another instance took the lease.
        """
        if not await self._lease.take(due_at=self._clock.now() - self._every):
            return None
        counted = await self._look(self._lease.keep)
        if counted is None:
            return None
        for invariant in (each for each in counted if not each.is_kept):
            facts = {"promise": invariant.name, "state": invariant.state, "violations": invariant.violations}
            logger().error("a promise is not kept", **facts)
        await self._lease.done()
        return counted

    async def measure(self) -> None:
        """Measure when any instance looked last."""
        async with self._transactions.reading() as stores:
            successes = await stores.schedules.successes([NAME])
        for done_at in successes.values():
            self._metrics.gauge("scheduled_job_success_timestamp_seconds", done_at.timestamp(), label=NAME)
