"""Statistics of acceptance: percentiles, whether symbols are drawn evenly, and whether two latencies differ."""

from collections import Counter
from collections.abc import Sequence
from math import ceil, sqrt


def percentile(values: Sequence[float], share: float) -> float:
    """Return the smallest value that at least this share of the values does not exceed."""
    return sorted(values)[max(0, ceil(share * len(values)) - 1)]


def unevenness(texts: Sequence[str], alphabet: str) -> float:
    """Return how many standard deviations the chi-square of the symbols lies above its mean for an even draw."""
    counted = Counter("".join(texts))
    expected = counted.total() / len(alphabet)
    squares = sum((counted[symbol] - expected) ** 2 for symbol in {*alphabet, *counted}) / expected
    freedom = len(alphabet) - 1
    return (squares - freedom) / sqrt(2 * freedom)


def later_share(first: Sequence[float], second: Sequence[float]) -> float:
    """Return the share of pairs in which the first value is the larger one (the statistic of Mann and Whitney).

    The share is 0.5 for equal distributions. Equal values count by half.
    """
    larger = sum((a > b) + 0.5 * (a == b) for a in first for b in second)
    return larger / (len(first) * len(second))


def deviation(first: int, second: int) -> float:
    """Return the standard deviation of `later_share` for so many values of one distribution."""
    return sqrt((first + second + 1) / (12 * first * second))
