"""The results of drills, as rows of the page docs/reliability.md, and the page."""

import textwrap
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import NamedTuple


class DrillResult(NamedTuple):
    """The result of a drill."""

    seen: Counter[str]
    """The answers of the clients from the beginning of the incident to its end, by status and code."""
    slowest_seconds: float
    """The longest that a client waited for its answer in this time."""
    healthy_seconds: float
    """From the end of the incident until requests succeed again."""
    differences: Sequence[str]
    """The effects that were lost or done twice, and wrong answers; empty where the drill holds."""
    notes: Sequence[str] = ()
    """The view of an operator: reasons of readiness, causes in metrics."""


class Drill(NamedTuple):
    """An incident, and how to cause it."""

    name: str
    incident: str
    """One sentence for the page."""
    run: Callable[[], Awaitable[DrillResult]]


def row(drill: Drill, shown: DrillResult) -> str:
    """Return the row of a drill in the page's table."""
    seen = ", ".join(f"{count:,} x {name}" for name, count in sorted(shown.seen.items()))
    lost = "nothing" if not shown.differences else f"**{len(shown.differences)} differences**"
    notes = "; ".join(shown.notes)
    figures = f"{shown.slowest_seconds:.1f} s | {shown.healthy_seconds:.1f} s"
    return f"| {drill.incident} | {seen} | {figures} | {lost} | {notes} |"


TOP = """# Reliability

`make faults` causes the incidents below under load, on a real PostgreSQL and with real servers, PgBouncer, Valkey and
HAProxy. It connects to loopback only, and takes less than twelve minutes. `python -m drills --list` names the drills,
`python -m drills NAME` runs one, and `--page docs/reliability.md` writes this page. The drills of full disks mount a
tmpfs, which needs root. The drills need `pgbouncer`, `haproxy` and `faketime`, as Debian packages them.

## The clients and the checker

Twelve clients grant credits, credit points, buy rewards, take seats of invites, mint codes, arrive by a code, deliver
webhooks and send messages. Several requests meet on purpose: there are more guests than seats, more orders than
credits, and the same request is sent twice at once. For every request its client knows one of three things: it was
acknowledged, it was refused, or its outcome is unknown.

The checker reads the tables by statements of its own. It finds whatever was acknowledged and is not stored, was refused
and is stored, or is stored twice or for nobody. Every award is a distinct power of two, so that a balance tells which
awards it holds. The checker looks when the clients have ended, and again after they have asked once more for everything
whose outcome they did not know. At last the invariants of the service are counted.

## Incidents

`NOBODY_LISTENS` and `no answer` are notes of the clients: no server took the connection, or the connection ended before
the answer was whole.
"""
COLUMNS = (
    "| incident | what clients saw | longest wait | healthy after | lost | what an operator saw |\n"
    "|---|---|---|---|---|---|"
)
PLANTED = """
## The checker is tested, too

A checker that finds nothing may be blind. `make faults` therefore plants faults, and fails if one of them is not found:

"""
END = """
All but the first are copies of the service without one of its guards; `drills/mutants.py` lists their texts. The first
one is PostgreSQL with `synchronous_commit = off`, which crashes.
"""


def page(rows: Iterable[str], measured: str, planted: Iterable[str]) -> str:
    """Return the page; `measured` says when and where the rows were measured."""
    found = "\n".join(f"- {name};" for name in planted).removesuffix(";") + "."
    return f"{TOP}\n{textwrap.fill(measured, 120)}\n\n{COLUMNS}\n" + "\n".join(rows) + f"\n{PLANTED}{found}\n{END}"
