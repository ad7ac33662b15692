"""The vital signs of a process: they are measured without a request, and a failed measurement ends no other."""

import asyncio
from collections.abc import Callable

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.adapters.telemetry.process_figures import watch_process
from tallystick.application.missing_codes import MissingCodes
from tallystick.application.readiness import Fault
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.routes.operations import ReadinessProbe
from tallystick.entrypoints.worker import vitals
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LAG_SECONDS", "SAMPLE_SECONDS", "MISSING_CODES_SECONDS", "READINESS_SECONDS"):
        monkeypatch.setattr(vitals, name, 0.001)


async def until(metrics: PrometheusMetrics, is_shown: Callable[[str], bool]) -> None:
    """Wait until the page shows something; the time-out of the tests ends a wait in vain."""
    while not is_shown(metrics.exposition()[0].decode()):  # noqa: ASYNC110  a scrape is all that shows it
        await asyncio.sleep(0.001)


async def test_lag_readiness_missing_codes_and_figures_are_measured_in_the_background() -> None:
    world, clock, metrics = World(MemoryBackend()), ManualClock(), PrometheusMetrics()
    probe, missing = ReadinessProbe([], clock, metrics), MissingCodes(world.reads, world.clock, metrics)
    watch_process(metrics)
    missing.asked(UserId("ada"))
    world.pass_time(seconds=11)

    running = asyncio.create_task(vitals.Vitals(metrics, probe, missing).run())
    await until(metrics, lambda page: "\ntallystick_ready 1.0\n" in page)
    await until(metrics, lambda page: "\ntallystick_missing_codes 1.0\n" in page)
    await until(metrics, lambda page: "\ntallystick_event_loop_lag_seconds_count 0.0\n" not in page)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    page = metrics.exposition()[0].decode()
    for name in ("process_resident_memory_bytes", "process_open_files", "process_start_time_seconds"):
        assert f"\ntallystick_{name} 0.0\n" not in page
    assert "tallystick_process_cpu_seconds_total 0.0\n" not in page


async def test_a_measurement_that_fails_is_followed_by_the_next_one() -> None:
    world, metrics, asked, times = World(MemoryBackend()), PrometheusMetrics(), asyncio.Event(), []

    async def broken() -> list[Fault]:
        times.append(world.clock.now())
        if len(times) > 2:
            asked.set()
        raise RuntimeError("a bug")

    probe = ReadinessProbe([broken], world.clock, metrics)
    running = asyncio.create_task(vitals.Vitals(metrics, probe, world.missing_codes).run())
    await asked.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
