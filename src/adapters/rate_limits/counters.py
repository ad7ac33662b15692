"""Counters of this process, in the form that the sliding windows of `limits` use."""

from collections import OrderedDict
from math import floor
from typing import Protocol

from tallystick.application.ports import Clock

MAX_CALLERS = 50_000
"""How many callers one window counts at most; beyond that, the caller who came first is forgotten."""


class Counters(Protocol):
    """The part of a storage of `limits` that sliding windows use."""

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool: ...

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]: ...


class LocalCounters(Counters):
    """Counts by key in the current window and the one before it, in constant time for any number of keys.

    The memory storage of `limits` iterates over all of its keys on each request.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._windows: dict[int, _Windows] = {}

    async def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Count a request, unless that would be more than the limit within the last `expiry` seconds."""
        windows, remaining = self._at_this_moment(expiry)
        current = windows.current.get(key, 0)
        if floor(windows.previous.get(key, 0) * remaining / expiry + current) + amount > limit:
            return False
        windows.current[key] = current + amount
        if len(windows.current) > MAX_CALLERS:
            windows.current.popitem(last=False)
        return True

    async def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """Return the count of the previous window and for how long it counts, and the same of the current window."""
        windows, remaining = self._at_this_moment(expiry)
        return windows.previous.get(key, 0), remaining, windows.current.get(key, 0), remaining + expiry

    def _at_this_moment(self, expiry: int) -> "tuple[_Windows, float]":
        number, passed = divmod(self._clock.monotonic(), expiry)
        windows = self._windows.get(expiry)
        if windows is None:
            windows = self._windows[expiry] = _Windows(int(number))
        elif windows.number != number:
            windows.turn(int(number))
        return windows, expiry - passed


class _Windows:
    """Two windows of one length; the later one is the current one."""

    __slots__ = ("current", "number", "previous")

    def __init__(self, number: int) -> None:
        self.number = number
        # Ordered, for its ends are found at once: a dict looks through the places of those who left.
        self.previous: OrderedDict[str, int] = OrderedDict()
        self.current: OrderedDict[str, int] = OrderedDict()

    def turn(self, number: int) -> None:
        self.previous = self.current if number == self.number + 1 else OrderedDict()
        self.current, self.number = OrderedDict(), number
