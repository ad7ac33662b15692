"""The clock of this machine: in UTC, wherever the machine is, and not used where it is wrong."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tallystick.adapters.system import AgreedClock, SystemClock, seconds_since_boot
from tallystick.application.ports import Clock
from tests.conftest import FAR_FROM_UTC


def test_the_time_is_in_utc_on_a_machine_that_is_not() -> None:
    assert time.localtime().tm_gmtoff != 0, f"the suite is to run in {FAR_FROM_UTC}"
    assert SystemClock().now().tzinfo is UTC


class WrongClock(Clock):
    """A clock that is wrong by a time that changes."""

    def __init__(self, right: Clock) -> None:
        self._right = right
        self.ahead = timedelta()

    def now(self) -> datetime:
        return self._right.now() + self.ahead

    def monotonic(self) -> float:
        return self._right.monotonic()


@pytest.fixture
def right() -> ManualClock:
    """Return the clock of the database."""
    return ManualClock()


@pytest.fixture
def machine(right: ManualClock) -> WrongClock:
    return WrongClock(right)


@pytest.mark.parametrize("seconds", [30, -30])
def test_a_machine_whose_clock_is_nearly_right_uses_it(right: ManualClock, machine: WrongClock, seconds: int) -> None:
    clock = AgreedClock(machine, machine.monotonic)
    machine.ahead = timedelta(seconds=seconds)
    clock.compare(machine.ahead)
    right.move(timedelta(hours=1))

    assert clock.now() == right.now() + machine.ahead


@pytest.mark.parametrize("seconds", [31, -31, 600, -600])
def test_a_machine_whose_clock_is_wrong_uses_the_time_of_the_database(
    right: ManualClock, machine: WrongClock, seconds: int
) -> None:
    clock = AgreedClock(machine, machine.monotonic)
    machine.ahead = timedelta(seconds=seconds)
    clock.compare(machine.ahead)
    right.move(timedelta(minutes=1))

    assert clock.now() == right.now()


def test_a_clock_that_jumps_is_not_used_from_then_on_until_it_is_right_again(
    right: ManualClock, machine: WrongClock
) -> None:
    clock = AgreedClock(machine, machine.monotonic)
    clock.compare(timedelta())
    right.move(timedelta(minutes=1))
    machine.ahead = timedelta(minutes=10)
    assert clock.now() == right.now()

    clock.compare(machine.ahead)
    assert clock.now() == right.now()

    machine.ahead = timedelta(seconds=1)
    assert clock.now() == right.now() + machine.ahead


def test_a_clock_that_was_never_compared_is_used(machine: WrongClock) -> None:
    machine.ahead = timedelta(minutes=10)

    assert AgreedClock(machine, machine.monotonic).now() == machine.now()


def test_the_time_of_a_suspension_counts(right: ManualClock, machine: WrongClock) -> None:
    machine.monotonic = lambda: 0.0  # type: ignore[method-assign]  # it stands still
    clock = AgreedClock(machine, right.monotonic)
    clock.compare(timedelta())
    machine.ahead = timedelta(minutes=10)
    right.move(timedelta(hours=1))

    assert clock.now() == right.now()


def test_seconds_since_boot_go_on_while_the_machine_is_suspended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "clock_gettime", {time.CLOCK_BOOTTIME: 7.0, time.CLOCK_MONOTONIC: 5.0}.__getitem__)

    assert seconds_since_boot() == 7.0
