"""`python -m drills`: cause incidents, and show what clients saw and that nothing was lost.

`make faults` runs every drill in less than twelve minutes, on loopback. `python -m drills NAME ...` runs some of them;
`--list` names them. `--page` prints docs/reliability.md with the measured rows. The exit status is 1 if anything was
lost, done twice or answered wrongly, or if a planted fault was not found.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter

from drills import crashes, databases, disks, kills, limiters, pauses, poolers, restarts, starts, versions
from drills.report import Drill, Shown, row

DRILLS: tuple[Drill, ...] = (
    *crashes.DRILLS,
    *starts.DRILLS,
    *databases.DRILLS,
    *disks.DRILLS,
    *poolers.DRILLS,
    *limiters.DRILLS,
    *restarts.DRILLS,
    *kills.DRILLS,
    *pauses.DRILLS,
    *versions.DRILLS,
)
TOGETHER = 2
"""How many drills run at once: most of them wait."""


async def run(drills: list[Drill]) -> bool:
    """Run drills, print a row for each, and return whether all hold."""
    room, held = asyncio.Semaphore(TOGETHER), True

    async def one(drill: Drill) -> None:
        nonlocal held
        async with room:
            began = time.monotonic()
            try:
                shown = await drill.run()
            except Exception as error:  # noqa: BLE001  the other drills go on
                shown = Shown(Counter(), 0.0, 0.0, [f"the drill could not be run to its end: {error!r}"])
        print(row(drill, shown), f"({time.monotonic() - began:.0f} s)", flush=True)
        for difference in shown.differences:
            print("   ", difference)
        held &= not shown.differences

    await asyncio.gather(*(one(drill) for drill in drills))
    return held


def main() -> int:
    """Run the drills that are named, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m drills", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a drill; without a name all of them run")
    parser.add_argument("--list", action="store_true", help="name the drills and end")
    given = parser.parse_args()
    by_name = {drill.name: drill for drill in DRILLS}
    if given.list:
        print("\n".join(f"{name:24} {drill.incident}" for name, drill in by_name.items()))
        return 0
    if unknown := [name for name in given.names if name not in by_name]:
        parser.error(f"no drill is called {', '.join(unknown)}; --list names them")
    return 0 if asyncio.run(run([by_name[name] for name in given.names or by_name])) else 1


if __name__ == "__main__":
    sys.exit(main())
