"""The clock of this machine: in UTC, wherever the machine is."""

import time
from datetime import UTC

from tallystick.adapters.system import SystemClock
from tests.conftest import FAR_FROM_UTC


def test_the_time_is_in_utc_on_a_machine_that_is_not() -> None:
    assert time.localtime().tm_gmtoff != 0, f"the suite is to run in {FAR_FROM_UTC}"
    assert SystemClock().now().tzinfo is UTC
