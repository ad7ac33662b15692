"""Shared counters that fail: requests stop waiting for them, and one after each pause asks again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.adapters.rate_limits.breaker import FAILURES, PAUSE_SECONDS, Breaker
from tallystick.adapters.rate_limits.limiter import SlidingWindows
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.ports import LimiterUnavailable


class Failing:
    """A limiter whose storage ends every connection, and counts them."""

    def __init__(self, port: int) -> None:
        self.asked = 0
        self.clock, self.metrics = ManualClock(), RecordedMetrics()
        self.limiter = SlidingWindows(
            {"read": "100/minute", "resolver": "100/minute"},
            self.clock,
            self.metrics,
            storage=f"valkey://127.0.0.1:{port}",
        )

    async def hits(self, times: int) -> list[int]:
        """Count requests of one caller, and return what was left after each."""
        allowances = [await self.limiter.hit("read", "ada") for _ in range(times)]
        return [allowance.remaining for allowance in allowances if allowance is not None]

    @property
    def paused(self) -> float:
        return self.metrics.watched["limit_storage_paused", ""]()


@asynccontextmanager
async def failing_storage() -> AsyncIterator[Failing]:
    async def end(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        failing.asked += 1
        writer.close()

    server = await asyncio.start_server(end, "127.0.0.1", 0)
    failing = Failing(server.sockets[0].getsockname()[1])
    try:
        yield failing
    finally:
        await failing.limiter.close()
        server.close()


async def test_a_storage_that_fails_again_and_again_is_not_asked_any_more() -> None:
    async with failing_storage() as failing:
        left = await failing.hits(10)

        assert failing.asked == FAILURES
        assert left == list(range(99, 89, -1)), "every request is counted here"
        assert failing.metrics.counts["limit_storage_failures", "read"] == 10


async def test_before_that_every_request_asks() -> None:
    async with failing_storage() as failing:
        await failing.hits(FAILURES - 1)
        assert (failing.asked, failing.paused) == (FAILURES - 1, False)

        await failing.hits(1)
        assert failing.paused


def test_only_failures_in_a_row_begin_a_pause() -> None:
    breaker = Breaker(ManualClock())
    for _ in range(2):
        for _ in range(FAILURES - 1):
            breaker.failed(OSError())
        assert not breaker.is_open
        breaker.succeeded()

    assert breaker.may_ask()


def test_a_request_that_asks_and_never_reports_leaves_the_next_one_to_another() -> None:
    clock = ManualClock()
    breaker = Breaker(clock)
    for _ in range(FAILURES):
        breaker.failed(OSError())
    clock.move(timedelta(seconds=PAUSE_SECONDS))
    assert [breaker.may_ask() for _ in range(2)] == [True, False]

    clock.move(timedelta(seconds=PAUSE_SECONDS))

    assert [breaker.may_ask() for _ in range(2)] == [True, False]


async def test_after_each_pause_one_request_asks_again() -> None:
    async with failing_storage() as failing:
        await failing.hits(10)
        failing.clock.move(timedelta(seconds=PAUSE_SECONDS - 0.1))
        await failing.hits(5)
        assert failing.asked == FAILURES

        failing.clock.move(timedelta(seconds=0.1))
        await asyncio.gather(*(failing.hits(1) for _ in range(5)))

        assert failing.asked == FAILURES + 1


async def test_a_group_that_must_be_counted_is_refused_during_a_pause_too() -> None:
    async with failing_storage() as failing:
        for _ in range(FAILURES + 1):
            with pytest.raises(LimiterUnavailable):
                await failing.limiter.hit("resolver", "ada")

        assert failing.asked == FAILURES


async def test_the_log_says_that_the_storage_fails_and_when_it_is_paused(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    async with failing_storage() as failing:
        await failing.hits(10)

    lines = capsys.readouterr().out
    assert lines.count("the storage of shared rate limits is out of reach") == 1
    assert lines.count("the storage of shared rate limits is paused") == 1
