"""A clock, random bytes, flags and metrics that tests control and read."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from random import Random

from tallystick.application.ports import Clock, CounterName, GaugeName, HistogramName, Metrics, Randomness
from tallystick.domain.flags import Flag, Flags


class ManualClock(Clock):
    """A clock that stands still until it is moved."""

    def __init__(self, now: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._now = now
        self._start = now

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return (self._now - self._start).total_seconds()

    def move(self, by: timedelta) -> None:
        """Let time pass."""
        self._now += by


class SeededRandomness(Randomness):
    """Random numbers that are the same in every run."""

    def __init__(self, seed: int = 0) -> None:
        self._random = Random(seed)  # noqa: S311  never in production

    def bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def fraction(self) -> float:
        return self._random.random()


class RecordedMetrics(Metrics):
    """Metrics as plain numbers."""

    def __init__(self) -> None:
        self.counts: Counter[tuple[str, str]] = Counter()
        self.values: defaultdict[tuple[str, str], list[float]] = defaultdict(list)
        self.gauges: dict[tuple[str, str], float] = {}
        self.watched: dict[tuple[str, str], Callable[[], float]] = {}

    def count(self, name: CounterName, amount: int = 1, *, label: str = "") -> None:
        self.counts[name, label] += amount

    def observe(self, name: HistogramName, value: float, *, label: str = "") -> None:
        self.values[name, label].append(value)

    def gauge(self, name: GaugeName, value: float, *, label: str = "") -> None:
        self.gauges[name, label] = value

    def watch(self, name: GaugeName, read: Callable[[], float], *, label: str = "") -> None:
        self.watched[name, label] = read

    def total(self, name: CounterName) -> int:
        """Return a counter over all labels."""
        return sum(count for (counter, _), count in self.counts.items() if counter == name)


class SwitchedFlags(Flags):
    """Flags with the given values, or else their defaults."""

    def __init__(self, switched: Mapping[Flag, bool] | None = None) -> None:
        self._switched = dict(switched or {})

    def enabled(self, flag: Flag) -> bool:
        return self._switched.get(flag, flag.default)

    def switch(self, flag: Flag, *, enabled: bool) -> None:
        """Switch a flag on or off."""
        self._switched[flag] = enabled
