"""Why a request could not be served, as operators learn it: every 503 has a cause, and it is the store's own."""

from collections.abc import Sequence
from typing import get_args

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics, SeededRandomness
from tallystick.adapters.postgres.errors import MEANINGS, translated
from tallystick.application.group_commit import Bounds, GroupCommit
from tallystick.application.reads import run_with_retries
from tallystick.application.transactions import (
    CommitUncertain,
    LockHeld,
    StoreFailure,
    StoreUnavailable,
    TransactionAborted,
)
from tallystick.domain.refusals import Cause, Failure, OutcomeUnknown, Overloaded
from tallystick.entrypoints.http.problems import STATUS
from tests.unit.adapters.test_errors import server_error

UNAVAILABLE = sorted((kind for kind, status in STATUS.items() if status == 503), key=lambda kind: kind.__name__)


class FailingBatch:
    """A batch that fails in one way, however often it is tried."""

    def __init__(self, failure: StoreFailure) -> None:
        self._failure = failure

    async def __call__(self, commands: Sequence[str]) -> list[str]:
        raise self._failure


def single(failure: StoreFailure) -> GroupCommit[str, str]:
    return GroupCommit(
        FailingBatch(failure),
        key=lambda command: command,
        clock=ManualClock(),
        randomness=SeededRandomness(7),
        metrics=RecordedMetrics(),
        name="failing",
        bounds=Bounds(retries=1, first_backoff_seconds=0),
    )


@pytest.mark.parametrize("kind", UNAVAILABLE, ids=lambda kind: kind.__name__)
def test_every_failure_that_is_answered_503_has_a_cause(kind: type[Failure]) -> None:
    failure = kind.__new__(kind)
    if kind is Overloaded:
        failure = Overloaded()

    assert failure.failure_cause in get_args(Cause)


@pytest.mark.parametrize("state", sorted(MEANINGS))
def test_every_foreseen_state_of_the_database_has_a_cause_and_keeps_its_state(state: str) -> None:
    failure = translated(server_error(state), connection_lost=False)

    assert isinstance(failure, StoreFailure)
    assert failure.cause in set(get_args(Cause)) - {"database"}
    assert failure.sqlstate == state


@pytest.mark.parametrize(
    "failure",
    [
        StoreUnavailable("53100", cause="disk_full", sqlstate="53100"),
        TransactionAborted("40P01", cause="lock", sqlstate="40P01"),
        LockHeld("55P03", cause="lock", sqlstate="55P03"),
        TransactionAborted("no connection was available", cause="pool"),
    ],
    ids=lambda failure: failure.cause,
)
async def test_a_command_that_is_shed_names_the_last_failure_of_the_store(failure: StoreFailure) -> None:
    with pytest.raises(Overloaded) as shed:
        await single(failure)("ada")

    assert (shed.value.failure_cause, shed.value.sqlstate) == (failure.cause, failure.sqlstate)
    assert set(shed.value.facts()) == set()


async def test_a_commit_that_was_lost_is_named_so() -> None:
    with pytest.raises(OutcomeUnknown) as unknown:
        await single(CommitUncertain())("ada")

    assert unknown.value.failure_cause == "commit_lost"


async def test_a_command_that_comes_after_the_end_is_named_so() -> None:
    closed = single(TransactionAborted())
    await closed.close(grace_seconds=0)

    with pytest.raises(Overloaded) as shed:
        await closed("ada")

    assert shed.value.failure_cause == "shutdown"


@pytest.mark.parametrize("kind", [StoreUnavailable, TransactionAborted])
async def test_a_read_that_fails_names_the_failure_of_the_store(kind: type[StoreFailure]) -> None:
    async def read() -> None:
        raise kind("57014", cause="time_out", sqlstate="57014")

    with pytest.raises(Overloaded) as shed:
        await run_with_retries(read, SeededRandomness(7))

    assert (shed.value.failure_cause, shed.value.sqlstate) == ("time_out", "57014")
