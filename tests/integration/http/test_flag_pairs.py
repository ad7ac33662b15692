"""States of flags on PostgreSQL: each two flags in all states that they can have together. Memory tries more."""

import pytest

from tests.http.services import Caller
from tests.unit.behaviours import test_http_flag_states
from tests.unit.behaviours.test_http_flag_states import REACHABLE, State, name_of, pairs_of, with_all_pairs

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
