"""Traces of batches: a batch is recorded for its own commands, and for no other request."""

import asyncio
from collections.abc import Sequence
from contextvars import copy_context

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.adapters.memory.tracing import RecordedTracer
from tallystick.application.group_commit import Bounds, GroupCommit
from tallystick.application.transactions import TransactionAborted
from tests.unit.application.batches import NoPause


class TracedUseCase:
    """A batch use case that waits at a gate and notes which span is the current one."""

    def __init__(self, tracer: RecordedTracer) -> None:
        self._tracer = tracer
        self.gate, self.has_begun = asyncio.Event(), asyncio.Event()
        self.failures: list[Exception] = []
        self.current: list[str | None] = []

    async def __call__(self, commands: Sequence[str]) -> list[str | Exception]:
        self.has_begun.set()
        await self.gate.wait()
        span = self._tracer.current()
        self.current.append(None if span is None else span.name)
        if self.failures:
            raise self.failures.pop(0)
        return [*commands]


@pytest.fixture
def tracer() -> RecordedTracer:
    return RecordedTracer()


@pytest.fixture
def use_case(tracer: RecordedTracer) -> TracedUseCase:
    return TracedUseCase(tracer)


@pytest.fixture
def group(tracer: RecordedTracer, use_case: TracedUseCase) -> GroupCommit[str, str]:
    return GroupCommit(
        use_case,
        key=lambda _: 0,
        clock=ManualClock(),
        randomness=NoPause(),
        metrics=RecordedMetrics(),
        name="use_case",
        bounds=Bounds(lanes=1),
        tracer=tracer,
    )


async def test_the_next_batch_of_a_lane_is_not_a_part_of_the_request_that_started_it(
    group: GroupCommit[str, str], tracer: RecordedTracer, use_case: TracedUseCase
) -> None:
    async def recorded() -> str:
        tracer.request(None)
        return await group("one")

    first = asyncio.create_task(recorded())
    await use_case.has_begun.wait()
    second = asyncio.create_task(group("two"), context=copy_context())
    await asyncio.sleep(0)
    use_case.gate.set()

    assert [await first, await second] == ["one", "two"]
    assert use_case.current == ["use_case", None]
    assert len(tracer.named("use_case")) == 1


async def test_each_attempt_is_a_span_and_one_that_failed_says_so(
    group: GroupCommit[str, str], tracer: RecordedTracer, use_case: TracedUseCase
) -> None:
    use_case.gate.set()
    use_case.failures = [TransactionAborted()]
    request = tracer.request(None)

    assert await group("one") == "one"

    assert [(span.parent, span.error) for span in tracer.named("use_case")] == [
        (request, "TransactionAborted"),
        (request, None),
    ]


async def test_a_request_that_has_ended_is_no_parent(group: GroupCommit[str, str], tracer: RecordedTracer) -> None:
    request = tracer.request(None)
    assert request is not None
    request.end()

    assert tracer.current() is None
