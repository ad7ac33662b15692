"""The vital signs of a process: the lag of its event loop, its gauges, its readiness, and codes that are missing."""

import asyncio
from collections.abc import Awaitable, Callable

from tallystick.adapters.telemetry.logs import logger
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.missing_codes import MissingCodes
from tallystick.entrypoints.http.routes.operations import ReadinessProbe

LAG_SECONDS = 0.25
SAMPLE_SECONDS = 1.0
MISSING_CODES_SECONDS = 5.0
READINESS_SECONDS = 15.0
"""Readiness is measured also where no balancer asks for it."""


class Vitals:
    """Measures the process until it ends. Several workers of one server each measure their own process."""

    def __init__(self, metrics: PrometheusMetrics, probe: ReadinessProbe, missing: MissingCodes) -> None:
        self._metrics, self._probe, self._missing = metrics, probe, missing

    async def run(self) -> None:
        """Measure until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._measure_lag(), name="event loop lag")
            tasks.create_task(_every(SAMPLE_SECONDS, self._sample), name="sample gauges")
            tasks.create_task(_every(MISSING_CODES_SECONDS, self._missing.measure), name="missing codes")
            tasks.create_task(_every(READINESS_SECONDS, self._probe.reasons), name="readiness")

    async def _measure_lag(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            due = loop.time() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._metrics.observe("event_loop_lag_seconds", max(0.0, loop.time() - due))

    async def _sample(self) -> None:
        self._metrics.sample()


async def _every(seconds: float, measure: Callable[[], Awaitable[object]]) -> None:
    while True:
        try:
            await measure()
        except Exception as error:  # noqa: BLE001  a bug in one measurement must not end the others
            logger().error("a measurement failed", error=error)
        await asyncio.sleep(seconds)
