"""Group commits over a scripted use case, with a clock and random numbers that tests control."""

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.application.group_commit import Bounds, GroupCommit
from tests.unit.application.batches import NoPause, Open, ScriptedUseCase


@pytest.fixture
def use_case() -> ScriptedUseCase:
    return ScriptedUseCase()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics() -> RecordedMetrics:
    return RecordedMetrics()


@pytest.fixture
def group(use_case: ScriptedUseCase, clock: ManualClock, metrics: RecordedMetrics) -> Open:
    def build(**bounds: float) -> GroupCommit[str, str]:
        return GroupCommit(
            use_case,
            key=lambda command: command.split(":")[0],
            clock=clock,
            randomness=NoPause(),
            metrics=metrics,
            name="use_case",
            bounds=Bounds(**{"lanes": 1, **bounds}),  # type: ignore[arg-type]  # numbers all
        )

    return build
