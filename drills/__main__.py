"""Cause incidents under load, and show what clients saw and that nothing was lost.

`make faults` runs every drill and plants every fault, in less than twelve minutes and on loopback.

example: python -m drills database-gone servers-killed
"""

import argparse
import asyncio
import os
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from drills import (
    clocks,
    commits,
    crashes,
    databases,
    disks,
    kills,
    limiters,
    pauses,
    poolers,
    restarts,
    starts,
    versions,
)
from drills.planted import PLANTED, Planted
from drills.report import Drill, DrillResult, page, row

DRILLS: tuple[Drill, ...] = (
    *kills.DRILLS,
    *starts.DRILLS,
    *databases.DRILLS,
    *crashes.DRILLS,
    *commits.DRILLS,
    *disks.DRILLS,
    *poolers.DRILLS,
    *limiters.DRILLS,
    *restarts.DRILLS,
    *pauses.DRILLS,
    *versions.DRILLS,
    *clocks.DRILLS,
)
TOGETHER = 2
"""How many drills run at once: most of them wait for most of their time."""
LONGEST_SECONDS = 12 * 60


async def shown_by(run: Callable[[], Awaitable[DrillResult]]) -> DrillResult:
    """Run a drill; a drill that cannot be run to its end is a difference, and the others go on."""
    try:
        return await run()
    except Exception as error:  # noqa: BLE001  every kind of it is shown
        return DrillResult(Counter(), 0.0, 0.0, [f"the drill could not be run to its end: {error!r}"])


class Run:
    """One run: its rows, and what it failed at."""

    def __init__(self) -> None:
        self.rows: dict[str, str] = {}
        self.failures: list[str] = []
        self._room = asyncio.Semaphore(TOGETHER)

    async def everything(self, drills: Sequence[Drill], planted: Sequence[Planted]) -> None:
        """Run drills and plant faults, several at once, and print each as it ends."""
        waiting = [*(self._drill(drill) for drill in drills), *(self._find(fault) for fault in planted)]
        try:
            async with asyncio.timeout(LONGEST_SECONDS):
                await asyncio.gather(*waiting)
        except TimeoutError:
            self.failures.append(f"the drills took longer than {LONGEST_SECONDS // 60} minutes")

    async def _drill(self, drill: Drill) -> None:
        async with self._room:
            began = time.monotonic()
            shown = await shown_by(drill.run)
        self.rows[drill.name] = row(drill, shown)
        print(f"{time.monotonic() - began:4.0f} s  {drill.name}: {self.rows[drill.name]}", flush=True)
        for difference in shown.differences:
            print(f"        {difference}", flush=True)
        if shown.differences:
            self.failures.append(f"{drill.name}: {len(shown.differences)} differences")

    async def _find(self, fault: Planted) -> None:
        async with self._room:
            began = time.monotonic()
            shown = await shown_by(fault.run)
        found = [difference for difference in shown.differences if fault.sign in difference]
        seen = found or ["NOT FOUND", *shown.differences]
        print(f"{time.monotonic() - began:4.0f} s  planted: {fault.name}. Found: {seen[0][:200]}", flush=True)
        if not found:
            self.failures.append(f"the checker did not find that {fault.name}, but {seen[1:4] or 'nothing'}")


def main() -> int:
    """Run the drills that are named, or all of them and the planted faults."""
    parser = argparse.ArgumentParser(
        prog="python -m drills", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="a drill, or `planted`; without a name all of them run"
    )
    parser.add_argument("--list", action="store_true", help="name the drills, and end")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the page of a whole run that held to FILE")
    given = parser.parse_args()
    by_name = {drill.name: drill for drill in DRILLS}
    if given.list:
        print("\n".join(f"{name:24} {drill.incident}" for name, drill in by_name.items()))
        return 0
    if unknown := [name for name in given.names if name not in {*by_name, "planted"}]:
        parser.error(f"no drill is called {', '.join(unknown)}; --list names them")
    if given.page and given.names:
        parser.error("the page is of a whole run: leave the names away")
    names = given.names or [*by_name, "planted"]
    run, began = Run(), time.monotonic()
    asyncio.run(
        run.everything([by_name[name] for name in names if name in by_name], PLANTED if "planted" in names else ())
    )
    seconds = time.monotonic() - began
    faults = f" and {len(PLANTED)} planted faults" if "planted" in names else ""
    print(f"\n{len(run.rows)} drills{faults} in {seconds:.0f} s: {'all hold' if not run.failures else 'FAILED'}")
    for failure in run.failures:
        print(f"- {failure}")
    if given.page and not run.failures:
        measured = (
            f"We measured on {datetime.now(UTC):%Y-%m-%d}, on {os.cpu_count()} cores that servers, database and "
            f"clients share, {TOGETHER} drills at once, all of them in {seconds / 60:.0f} minutes."
        )
        text = page([run.rows[name] for name in by_name], measured, [fault.name for fault in PLANTED])
        given.page.write_text(text, encoding="utf-8")
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
