"""Each promise has a repair, or a reason why no command repairs it."""

from tallystick.application.invariants import PROMISES
from tallystick.application.repairs import REPAIRS, UNREPAIRED


def test_each_promise_has_a_repair_or_a_reason_against_one() -> None:
    assert set(REPAIRS) | set(UNREPAIRED) == set(PROMISES)
    assert not set(REPAIRS) & set(UNREPAIRED)
