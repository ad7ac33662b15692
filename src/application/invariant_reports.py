"""Reports of invariants: the promises are counted beside the traffic, and the counts are measured."""

from tallystick.application.invariants import Invariant
from tallystick.application.ports import Clock, Metrics
from tallystick.application.reads import SlowReads


class ReportInvariants:
    """Count every promise in one read-only snapshot, on a connection beside the pool, and set the gauges."""

    def __init__(self, reads: SlowReads, clock: Clock, metrics: Metrics) -> None:
        self._reads, self._clock, self._metrics = reads, clock, metrics

    async def __call__(self, *, seconds_each: float | None = None) -> list[Invariant]:
        """Return the promises; with `seconds_each`, one that takes longer is `unfinished`."""
        began = self._clock.now()
        counted = list(await self._reads(lambda stores: stores.invariants.count(seconds_each=seconds_each)))
        judged = [each for each in counted if each.state not in {"hidden", "unfinished"}]
        for invariant in judged:
            self._metrics.gauge("invariant_violations", invariant.violations, label=invariant.name)
        self._metrics.gauge("invariants_unchecked", len(counted) - len(judged))
        self._metrics.gauge("invariants_checked_timestamp_seconds", began.timestamp())
        return counted
