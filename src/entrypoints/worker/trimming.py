"""Trimming: every hour, one of all instances deletes the events and messages that are older than their retention."""

import asyncio

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Clock, Randomness
from tallystick.application.retention import TrimLogs, Trimmed
from tallystick.application.transactions import StoreFailure, Transactions
from tallystick.application.work_lease import WorkLease
from tallystick.domain.refusals import Unavailable

NAME = "trim_logs"
POLL_SECONDS = 60.0


class Trimming:
    """Trims the logs of all topics each hour."""

    def __init__(self, transactions: Transactions, trim: TrimLogs, clock: Clock, randomness: Randomness) -> None:
        self._trim, self._clock, self._randomness = trim, clock, randomness
        self._lease = WorkLease(NAME, transactions, clock, randomness)

    async def run(self) -> None:
        """Check regularly until cancelled; a failed hour is tried again when its lease has expired."""
        while True:
            try:
                trimmed = await self.trim_if_due()
            except (Unavailable, StoreFailure) as error:
                logger().warning("the trimming of logs has to wait", error=error)
            except Exception as error:  # noqa: BLE001  a bug in here must not end the loop
                logger().error("the trimming of logs failed", error=error)
            else:
                if trimmed is not None and trimmed != Trimmed():
                    logger().info("old events were deleted", events=trimmed.events, messages=trimmed.messages)
            await asyncio.sleep(POLL_SECONDS * (0.5 + self._randomness.fraction()))

    async def trim_if_due(self) -> Trimmed | None:
        """Trim where this hour's run is missing and no other instance runs it; None where there is nothing to do."""
        if not await self._lease.take(due_at=self._clock.now().replace(minute=0, second=0, microsecond=0)):
            return None
        found = Trimmed()
        async for step in self._trim.steps():
            found = found.plus(step)
            if not await self._lease.keep():
                return found
        await self._lease.done()
        return found
