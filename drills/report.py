"""What a drill showed, as a row of a table and as a page."""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple


class Shown(NamedTuple):
    """What a drill showed."""

    seen: Counter[str]
    """The answers of the clients from the beginning of the incident to its end, by status and code."""
    slowest_seconds: float
    """The longest that a client waited for its answer in this time."""
    healthy_seconds: float
    """From the end of the incident until requests succeed again."""
    differences: Sequence[str]
    """What was lost, done twice, or answered wrongly; empty where the drill holds."""
    notes: Sequence[str] = ()
    """What an operator saw: reasons of readiness, causes in metrics."""


class Drill(NamedTuple):
    """An incident, and how to cause it."""

    name: str
    incident: str
    """One sentence for the page."""
    run: Callable[[], Awaitable[Shown]]


def row(drill: Drill, shown: Shown) -> str:
    """Return the row of a drill in the page's table."""
    seen = ", ".join(f"{count:,} x {name}" for name, count in sorted(shown.seen.items()))
    lost = "nothing" if not shown.differences else f"**{len(shown.differences)} differences**"
    notes = "; ".join(shown.notes)
    figures = f"{shown.slowest_seconds:.1f} s | {shown.healthy_seconds:.1f} s"
    return f"| {drill.incident} | {seen} | {figures} | {lost} | {notes} |"
