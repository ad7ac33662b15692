"""The machine's own clock and randomness."""

import secrets
import time
from datetime import UTC, datetime

from tallystick.application.ports import Clock, Randomness

_CHANCE = secrets.SystemRandom()
_DRAW_BYTES = 4096


class SystemClock(Clock):
    """The only module that reads the time."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


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
