"""The machine's own clock and randomness, and the clock that instances agree on."""

import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from tallystick.application.ports import Clock, Randomness

_CHANCE = secrets.SystemRandom()
_DRAW_BYTES = 4096
LARGEST_CLOCK_DIFFERENCE = timedelta(seconds=30)
"""How far this machine's clock may be from the database's."""
_LARGEST_SECONDS = LARGEST_CLOCK_DIFFERENCE.total_seconds()


class SystemClock(Clock):
    """The only module that reads the time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def seconds_since_boot() -> float:
    """Return seconds that go on while the machine is suspended, where the platform counts them."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class AgreedClock(Clock):
    """The clock of the service: this machine's, as long as it agrees with the database's.

    A machine's clock that is further off than LARGEST_CLOCK_DIFFERENCE is not used. The time is then that of the
    database at the last comparison, and the seconds since then.
    """

    def __init__(self, machine: Clock, elapsed: Callable[[], float]) -> None:
        """`elapsed` returns seconds that no change of the machine's clock changes."""
        self.machine, self._elapsed = machine, elapsed
        self._offset: float | None = None
        """The database's time less the elapsed seconds; None before the first comparison."""

    def compare(self, ahead: timedelta) -> None:
        """Note how far this machine's clock is ahead of the database's now."""
        self._offset = (self.machine.now() - ahead).timestamp() - self._elapsed()

    def now(self) -> datetime:
        now = self.machine.now()
        if self._offset is None:
            return now
        expected = self._offset + self._elapsed()
        is_right = abs(now.timestamp() - expected) <= _LARGEST_SECONDS
        return now if is_right else datetime.fromtimestamp(expected, UTC)

    def monotonic(self) -> float:
        return self.machine.monotonic()


class SystemRandomness(Randomness):
    """The operating system's CSPRNG, read a few kilobytes at a time, because each read is a system call."""

    def __init__(self) -> None:
        self._drawn = b""
        self._used = 0

    def bytes(self, count: int) -> bytes:
        if self._used + count > len(self._drawn):
            self._drawn, self._used = secrets.token_bytes(max(count, _DRAW_BYTES)), 0
        self._used += count
        return self._drawn[self._used - count : self._used]

    def fraction(self) -> float:
        return _CHANCE.random()
