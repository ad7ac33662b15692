"""The tree of failures: each stands in one branch, and the branch alone decides what a retry may do."""

import re

import pytest

from tallystick.application.idempotency import Keyed, Replayed
from tallystick.domain.refusals import Failure, Incomplete, OutcomeUnknown, Refusal, Unavailable
from tallystick.entrypoints.http.problems import STATUS
from tallystick.entrypoints.http.refusals import InternalError
from tests.failures import ABSTRACT, BRANCHES, every_failure
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World

RETRYABLE = {Refusal: False, Unavailable: True, OutcomeUnknown: True, Incomplete: True, InternalError: False}
STATUSES = {
    Refusal: {400, 401, 402, 403, 404, 405, 409, 410, 413, 414, 415, 422, 431},
    Unavailable: {408, 409, 429, 503},
    OutcomeUnknown: {503},
    Incomplete: {503},
    InternalError: {500},
}

each_failure = pytest.mark.parametrize("kind", every_failure(), ids=lambda kind: kind.__name__)


def branch_of(kind: type[Failure]) -> type[Failure]:
    (branch,) = [branch for branch in BRANCHES if issubclass(kind, branch)]
    return branch


def test_every_failure_has_a_status_and_nothing_else_has() -> None:
    assert set(STATUS) == set(every_failure())
    assert len(STATUS) > 50


def test_branches_are_found_directly_below_the_root() -> None:
    assert {kind for kind in {*every_failure(), *ABSTRACT} if kind.__base__ is Failure} == set(BRANCHES)


@each_failure
def test_a_failure_stands_in_one_branch_which_decides_its_statuses(kind: type[Failure]) -> None:
    assert STATUS[kind] in STATUSES[branch_of(kind)]


@each_failure
def test_a_failure_has_a_lasting_code(kind: type[Failure]) -> None:
    assert re.fullmatch(r"[A-Z][A-Z_]+[A-Z]", kind.code)


@each_failure
def test_the_branch_decides_whether_a_failure_is_retryable(kind: type[Failure]) -> None:
    assert kind.retryable is RETRYABLE[branch_of(kind)]
    assert kind in BRANCHES or "retryable" not in vars(kind)


@each_failure
async def test_a_refusal_is_stored_and_replayed_and_no_other_failure_is(kind: type[Failure]) -> None:
    world, failure, runs = World(MemoryBackend()), kind.__new__(kind), 0

    async def work(_commands: object) -> list[int | Failure]:
        nonlocal runs
        runs += 1
        return [failure]

    outcomes: list[object] = []
    for _ in range(2):
        async with world.transactions.begin() as stores:
            outcomes += await world.once(stores, [Keyed(1, world.key("ada", "k1", b"one"))], work)

    assert outcomes[0] is failure
    if branch_of(kind) is Refusal:
        assert isinstance(outcomes[1], Replayed)
        assert outcomes[1].reply.body == kind.code.encode()
        assert runs == 1
    else:
        assert outcomes[1] is failure
        assert runs == 2
