"""Limits counted in this process, over a time that the test drives."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from limits import parse
from limits.aio.storage import MemoryStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.adapters.rate_limits import counters
from tallystick.adapters.rate_limits.limiter import SlidingWindows
from tallystick.application.ports import Allowance


class Callers:
    """Callers of one group, who come at times of their choice."""

    def __init__(self, limit: str) -> None:
        self.clock = ManualClock()
        self.windows = SlidingWindows({"read": limit}, self.clock, RecordedMetrics())

    async def hit(self, who: str = "ada") -> Allowance:
        allowance = await self.windows.hit("read", who)
        assert allowance is not None
        return allowance

    async def allowed(self, times: int, who: str = "ada") -> int:
        return sum([(await self.hit(who)).allowed for _ in range(times)])


async def test_a_caller_may_come_as_often_as_the_limit_says() -> None:
    callers = Callers("3/minute")

    assert [(await callers.hit()).remaining for _ in range(4)] == [2, 1, 0, 0]
    assert not (await callers.hit()).allowed


async def test_the_announced_wait_is_enough() -> None:
    callers = Callers("3/minute")
    await callers.allowed(3)
    refused = await callers.hit()

    callers.clock.move(timedelta(seconds=refused.reset_seconds + 60))

    assert (await callers.hit()).allowed


@pytest.mark.parametrize("seconds", [0.5, 7, 59, 60, 61, 90])
async def test_the_edge_of_a_window_is_no_way_around(seconds: float) -> None:
    callers = Callers("10/minute")
    callers.clock.move(timedelta(seconds=59))
    before = await callers.allowed(20)
    callers.clock.move(timedelta(seconds=seconds))

    share_that_still_weighs = max(0.0, 1 - (59 + seconds - 60) / 60) if 59 + seconds >= 60 else 1.0
    assert before == 10
    assert await callers.allowed(20) <= 10 - int(before * share_that_still_weighs)


async def test_after_two_windows_nothing_is_remembered() -> None:
    callers = Callers("10/minute")
    await callers.allowed(10)
    callers.clock.move(timedelta(seconds=120))

    assert await callers.allowed(20) == 10


async def test_callers_are_counted_one_by_one() -> None:
    callers = Callers("1/minute")

    assert [await callers.allowed(2, who) for who in ("ada", "bob")] == [1, 1]


async def test_limits_of_two_lengths_do_not_mix() -> None:
    callers = Callers("2/second, 13/minute")

    first = await callers.allowed(5)
    callers.clock.move(timedelta(seconds=2))
    second = await callers.allowed(5)
    callers.clock.move(timedelta(seconds=2))

    # A request that one limit refuses counts for the other, so that a flood waits for longer.
    assert (first, second, await callers.allowed(5)) == (2, 2, 2)
    callers.clock.move(timedelta(seconds=2))
    assert await callers.allowed(5) == 0


async def test_counts_are_bounded_and_the_oldest_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_CALLERS", 100)
    callers = Callers("1/minute")

    for number in range(150):
        await callers.hit(f"caller {number}")

    kept = callers.windows._local._windows[60].current
    assert len(kept) == 100
    assert [await callers.allowed(1, f"caller {number}") for number in (149, 50)] == [0, 0]
    assert await callers.allowed(1, "caller 0") == 1


@given(st.lists(st.integers(min_value=0, max_value=3), max_size=12), st.integers(min_value=1, max_value=5))
async def test_it_counts_as_the_storage_of_the_library_does(gaps: list[int], limit: int) -> None:
    """The two agree at every moment, so that shared and local counts mean the same."""
    callers = Callers(f"{limit}/2 second")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("time.time", lambda: 1_000_000 + callers.clock.monotonic())
        theirs = SlidingWindowCounterRateLimiter(MemoryStorage())
        for gap in gaps:
            callers.clock.move(timedelta(seconds=gap / 2))
            assert (await callers.hit()).allowed == await theirs.hit(parse(f"{limit}/2 second"), "ada")
