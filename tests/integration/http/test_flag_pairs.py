"""States of flags on PostgreSQL: each two flags in all states that they can have together. Memory has all states."""

from itertools import combinations

import pytest

from tallystick.domain.flags import Flag
from tests.http.services import Caller
from tests.unit.behaviours import test_http_flag_states
from tests.unit.behaviours.test_http_flag_states import REACHABLE, State, name_of

Pair = tuple[Flag, bool, Flag, bool]


def pairs_of(*states: State) -> set[Pair]:
    """Return each two flags with their values in some state."""
    return {(one, state[one], other, state[other]) for state in states for one, other in combinations(Flag, 2)}


def with_all_pairs(states: list[State]) -> list[State]:
    """Return a few of the states in which all pairs of the states occur, the richest first."""
    chosen: list[State] = []
    while missing := pairs_of(*states) - pairs_of(*chosen):
        chosen.append(max(states, key=lambda state: len(pairs_of(state) & missing)))
    return chosen


STATES = with_all_pairs(REACHABLE)


def test_few_states_have_all_pairs() -> None:
    assert pairs_of(*STATES) == pairs_of(*REACHABLE)
    assert len(STATES) < len(REACHABLE) / 2


class TestFlagPairs(test_http_flag_states.TestFlagStates):
    @pytest.mark.parametrize("state", STATES, ids=name_of)
    async def test_whatever_is_on_every_flow_goes_by_it_and_every_promise_is_kept(
        self, anyone: Caller, state: State
    ) -> None:
        await super().test_whatever_is_on_every_flow_goes_by_it_and_every_promise_is_kept(anyone, state)
