"""`tallystick migrate --plan`: the steps as a table, or as one JSON document."""

from collections.abc import Sequence

from rich.table import Table

from tallystick.adapters.postgres.migrating.plan import BYTES_A_SECOND, PlannedLock, Step
from tallystick.entrypoints.cli.terminal import OUT, say_json, say_table


def show_plan(steps: Sequence[Step], *, as_json: bool) -> None:
    """Print the steps that did not run yet."""
    if as_json:
        say_json({"steps": list(steps)})
        return
    if not steps:
        OUT.print("nothing is pending")
        return
    table = Table(box=None, pad_edge=False)
    for heading in ("migration", "kind", "locks", "stops", "rows", "size", "time"):
        table.add_column(heading, overflow="fold")
    for step in steps:
        time = f"about {step.expected_seconds} s" if step.expected_seconds else "a moment"
        rows = [_cells(lock) for lock in step.locks] or [("none", "nothing", "", "")]
        table.add_row(step.migration, step.kind, *rows[0], time)
        for cells in rows[1:]:
            table.add_row("", "", *cells, "")
    say_table(table)
    OUT.print(
        f"Times assume that {BYTES_A_SECOND // 1_000_000} MB of a table are read in a second. Locks that stop requests "
        "are waited for briefly, again and again, and held for a moment."
    )


def _cells(lock: PlannedLock) -> tuple[str, str, str, str]:
    return f"{lock.table}: {lock.mode}", lock.stops, f"{lock.rows:,}", f"{lock.size_bytes / 1_000_000:,.1f} MB"
