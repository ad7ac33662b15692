"""Progress of long work on standard error: a bar with rate and time left at a terminal, plain lines elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from tallystick.entrypoints.cli.terminal import ERR

Show = Callable[[float], None]
"""Called with how much of the total is done."""

_LINE_EVERY_SECONDS = 5.0


@contextmanager
def shown(what: str, total: float, *, unit: str = "") -> Iterator[Show]:
    """Show the progress of work; units with a name are counted, with their rate."""
    if not ERR.is_terminal:
        yield _lines(what, total, unit)
        return
    counted = [MofNCompleteColumn(), TextColumn("{task.fields[rate]}")] if unit else [TaskProgressColumn()]
    columns = [TextColumn("{task.description}"), BarColumn(), *counted, TimeRemainingColumn()]
    began = time.monotonic()
    with Progress(*columns, console=ERR, transient=True) as progress:
        task = progress.add_task(what, total=total, rate="")

        def show(done: float) -> None:
            rate = done / max(time.monotonic() - began, 0.001)
            progress.update(task, completed=min(done, total), rate=f"{rate:,.0f} {unit}/s")

        yield show


def _lines(what: str, total: float, unit: str) -> Show:
    began = last = time.monotonic()

    def show(done: float) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last < _LINE_EVERY_SECONDS and done < total:
            return
        last = now
        rate = f", {done / max(now - began, 0.001):,.0f} {unit}/s" if unit else ""
        ERR.print(f"{what}: {min(done / total, 1.0) if total else 1.0:.0%}{rate}")

    return show
