"""Shared answers: one computation for everybody, fresh, stale or failed."""

import asyncio
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tallystick.application.shared_answers import SharedAnswer
from tallystick.domain.refusals import Overloaded


class Computation:
    """Counts how often it is run, how many run at once, and waits until it is let go."""

    def __init__(self, clock: ManualClock, *, takes_seconds: float = 0.0) -> None:
        self._clock, self._takes = clock, timedelta(seconds=takes_seconds)
        self.runs = self.at_once = self.most_at_once = 0
        self.let_go = asyncio.Event()
        self.let_go.set()
        self.failure: Exception | None = None

    async def __call__(self) -> int:
        self.runs += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await self.let_go.wait()
            self._clock.move(self._takes)
            if self.failure is not None:
                raise self.failure
            return self.runs
        finally:
            self.at_once -= 1


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def computation(clock: ManualClock) -> Computation:
    return Computation(clock)


@pytest.fixture
def shared(computation: Computation, clock: ManualClock) -> SharedAnswer[int]:
    return SharedAnswer(computation, clock, fresh_seconds=60, stale_seconds=600)


async def let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_a_storm_of_first_requests_is_one_computation(
    shared: SharedAnswer[int], computation: Computation
) -> None:
    answers = await asyncio.gather(*(shared() for _ in range(100)))

    assert {answer.value for answer in answers} == {1}
    assert computation.runs == 1


async def test_a_fresh_answer_is_given_again_with_its_age(
    shared: SharedAnswer[int], computation: Computation, clock: ManualClock
) -> None:
    began = clock.now()
    await shared()
    clock.move(timedelta(seconds=59.5))

    again = await shared()

    assert (again.value, again.computed_at, again.age_seconds, computation.runs) == (1, began, 59.5, 1)


async def test_a_stale_answer_is_given_while_one_computation_renews_it(
    shared: SharedAnswer[int], computation: Computation, clock: ManualClock
) -> None:
    await shared()
    clock.move(timedelta(seconds=60))
    computation.let_go.clear()

    stale = [await shared() for _ in range(50)]
    await let_others_run()
    computation.let_go.set()
    await let_others_run()

    assert {answer.value for answer in stale} == {1}
    assert (await shared()).value == 2
    assert (computation.runs, computation.most_at_once) == (2, 1)


async def test_nobody_is_given_an_answer_that_is_too_old(shared: SharedAnswer[int], clock: ManualClock) -> None:
    await shared()
    clock.move(timedelta(seconds=600))

    assert (await shared()).value == 2


async def test_callers_who_come_while_it_runs_get_the_last_answer_however_old(
    shared: SharedAnswer[int], computation: Computation, clock: ManualClock
) -> None:
    await shared()
    clock.move(timedelta(hours=2))
    computation.let_go.clear()
    waiting = asyncio.create_task(shared())
    await let_others_run()

    meanwhile = await shared()
    computation.let_go.set()

    assert (meanwhile.value, meanwhile.age_seconds) == (1, 7200)
    assert (await waiting).value == 2


async def test_computing_takes_half_of_the_time_at_most(clock: ManualClock) -> None:
    computation = Computation(clock, takes_seconds=13)
    shared = SharedAnswer(computation, clock, fresh_seconds=0, stale_seconds=0)

    assert (await shared()).age_seconds == 13
    clock.move(timedelta(seconds=12.9))
    assert (await shared()).value == 1
    clock.move(timedelta(seconds=0.1))
    assert (await shared()).value == 2


async def test_an_answer_that_is_computed_at_once_is_computed_for_every_caller(clock: ManualClock) -> None:
    computation = Computation(clock, takes_seconds=0.2)
    shared = SharedAnswer(computation, clock, fresh_seconds=0, stale_seconds=0)

    assert [(await shared()).value for _ in range(3)] == [1, 2, 3]


async def test_an_error_reaches_those_who_wait_and_the_next_caller_tries_again(
    shared: SharedAnswer[int], computation: Computation
) -> None:
    computation.failure = Overloaded()
    outcomes = await asyncio.gather(*(shared() for _ in range(10)), return_exceptions=True)
    computation.failure = None

    assert {type(outcome) for outcome in outcomes} == {Overloaded}
    assert (await shared()).value == 2


async def test_an_error_behind_a_stale_answer_is_no_caller_s_matter(
    shared: SharedAnswer[int], computation: Computation, clock: ManualClock
) -> None:
    await shared()
    clock.move(timedelta(seconds=60))
    computation.failure = Overloaded()

    assert (await shared()).value == 1
    await let_others_run()
    assert (await shared()).value == 1


async def test_a_caller_who_goes_away_stops_nothing(shared: SharedAnswer[int], computation: Computation) -> None:
    computation.let_go.clear()
    first, second = asyncio.create_task(shared()), asyncio.create_task(shared())
    await let_others_run()

    first.cancel()
    await let_others_run()
    computation.let_go.set()

    assert (await second).value == 1
    assert computation.runs == 1
