"""Group commits over a desk, with time and chance in the test's hand."""

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.application.group_commit import Bounds, GroupCommit
from tests.unit.application.batches import Desk, NoPause, Open


@pytest.fixture
def desk() -> Desk:
    return Desk()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def metrics() -> RecordedMetrics:
    return RecordedMetrics()


@pytest.fixture
def group(desk: Desk, clock: ManualClock, metrics: RecordedMetrics) -> Open:
    def build(**bounds: float) -> GroupCommit[str, str]:
        return GroupCommit(
            desk,
            key=lambda command: command.split(":")[0],
            clock=clock,
            randomness=NoPause(),
            metrics=metrics,
            name="desk",
            bounds=Bounds(**{"lanes": 1, **bounds}),  # type: ignore[arg-type]  # numbers all
        )

    return build
