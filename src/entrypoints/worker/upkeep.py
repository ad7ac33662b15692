"""Upkeep: gauges are measured and old rows are deleted in the background, in small steps."""

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.erasures import FinishErasures
from tallystick.application.pending_accruals import SweepAccruals
from tallystick.application.points import Accrued
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.reads import Reads
from tallystick.application.transactions import StoreFailure, Transactions
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.refusals import Incomplete, Unavailable
from tallystick.entrypoints.worker.nightly import NAME as RECONCILE_METADATA
from tallystick.entrypoints.worker.trimming import NAME as TRIM_LOGS

KEEP_REPLIES = timedelta(days=8)
"""Longer than the week that is promised to callers."""
KEEP_DELIVERIES = timedelta(days=8)
"""Much longer than a signature stays valid."""
KEEP_SESSIONS = timedelta(days=1)
"""How long an expired session is kept: much longer than the clocks of instances differ."""
JOBS: Mapping[str, Flag | None] = {RECONCILE_METADATA: Flag.LEGACY_FALLBACK_ENABLED, TRIM_LOGS: None}
"""Scheduled jobs, each with the flag that switches it on, if it has one."""
BATCH_ROWS = 1000
MAX_BATCHES = 100
ROUND_SECONDS = 60.0


class Upkeep:
    """Measures backlogs, credits pending accruals, finishes erasures and deletes old rows. Several may run at once."""

    def __init__(
        self,
        transactions: Transactions,
        reads: Reads,
        sweep: SweepAccruals,
        finish_erasures: FinishErasures,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        flags: Flags,
    ) -> None:
        self._transactions, self._reads, self._sweep, self._clock = transactions, reads, sweep, clock
        self._finish_erasures, self._randomness, self._metrics = finish_erasures, randomness, metrics
        self._flags = flags

    async def run(self) -> None:
        """Run rounds until cancelled; a failed round is logged."""
        while True:
            try:
                await self.run_once()
            except (Unavailable, StoreFailure) as error:
                logger().warning("upkeep has to wait", error=error)
            except Exception as error:  # noqa: BLE001  a bug must not end the loop
                logger().error("upkeep failed", error=error)
            await asyncio.sleep(ROUND_SECONDS * (0.5 + self._randomness.fraction()))

    async def run_once(self) -> None:
        """Delete old rows, credit pending accruals, finish erasures, and measure, once."""
        await self._delete_old_rows(self._clock.now())
        for pending, outcome in await self._sweep():
            facts = {"event_type": pending.event_type, "correlation_id": pending.correlation_id}
            if isinstance(outcome, Accrued):
                logger().info("pending accrual credited", **facts)
            elif not isinstance(outcome, Incomplete):
                logger().error("pending accrual failed", error=outcome, **facts)
        await self._measure_erasures(self._clock.now())
        await self._finish_erasures()
        await self._measure_erasures(self._clock.now())
        await self._measure_backlog(self._clock.now())
        await self._measure_jobs()

    async def _measure_backlog(self, now: datetime) -> None:
        backlog = await self._reads(lambda stores: stores.pending.backlog())
        age = (now - backlog.oldest_at).total_seconds() if backlog.oldest_at is not None else 0.0
        self._metrics.gauge("pending_accruals", backlog.waiting)
        self._metrics.gauge("pending_accruals_oldest_seconds", max(0.0, age))

    async def _measure_erasures(self, now: datetime) -> None:
        erasures = await self._reads(lambda stores: stores.erasures.backlog())
        age = (now - erasures.oldest_since).total_seconds() if erasures.oldest_since is not None else 0.0
        self._metrics.gauge("pending_erasures", erasures.waiting)
        self._metrics.gauge("pending_erasures_oldest_seconds", max(0.0, age))

    async def _measure_jobs(self) -> None:
        for job, done_at in (await self._reads(lambda stores: stores.schedules.successes(JOBS))).items():
            flag = JOBS[job]
            seconds = done_at.timestamp() if flag is None or self._flags.enabled(flag) else 0.0
            self._metrics.gauge("scheduled_job_success_timestamp_seconds", seconds, label=job)

    async def _delete_old_rows(self, now: datetime) -> None:
        for _ in range(MAX_BATCHES):
            async with self._transactions.begin() as stores:
                forgotten = await stores.idempotency.forget(before=now - KEEP_REPLIES, limit=BATCH_ROWS)
                forgotten += await stores.deliveries.forget(before=now - KEEP_DELIVERIES, limit=BATCH_ROWS)
                forgotten += await stores.sessions.forget(before=now - KEEP_SESSIONS, limit=BATCH_ROWS)
            if forgotten < BATCH_ROWS:
                return
