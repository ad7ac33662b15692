"""Reports of invariants: the promises are counted beside the traffic, and the counts are measured."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.application.invariants import Invariant
from tallystick.application.ports import Clock, Metrics
from tallystick.application.reads import SlowReads


class ReportInvariants:
    """Count every promise in one read-only snapshot, on a connection beside the pool, and set the gauges."""

    def __init__(self, reads: SlowReads, clock: Clock, metrics: Metrics) -> None:
        self._reads, self._clock, self._metrics = reads, clock, metrics

    async def __call__(self) -> list[Invariant]:
        """Return the promises."""
        began = self._clock.now()
        counted = list(await self._reads(lambda stores: stores.invariants.count()))
        measure(self._metrics, counted, began)
        return counted


def measure(metrics: Metrics, counted: Sequence[Invariant], began: datetime) -> None:
    """Set the gauges of a count; a promise that could not be judged keeps its last number."""
    judged = [each for each in counted if each.state not in {"hidden", "unfinished"}]
    for invariant in judged:
        metrics.gauge("invariant_violations", invariant.violations, label=invariant.name)
    metrics.gauge("invariants_unchecked", len(counted) - len(judged))
    metrics.gauge("invariants_checked_timestamp_seconds", began.timestamp())
