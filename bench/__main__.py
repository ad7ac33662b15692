"""`make bench`: measure the speed of the service side by side with its references, in one run."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
import rich_click as click

from bench import bodies, loyalty, moving, referrals, rooms, wallets
from bench.client import WrongAnswer
from bench.drivers import wrk
from bench.report import Report, Row, Say, progress, show
from bench.servers import ServerFailed

PARTS = ("bodies", "referrals", "wallets", "loyalty", "rooms", "moving")


@click.command()
@click.argument("parts", nargs=-1, type=click.Choice(PARTS))
@click.option("--quick", is_flag=True, help="Take about two minutes, with few rounds of each.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(parts: tuple[str, ...], quick: bool, as_json: bool) -> None:
    """Measure the service side by side with its references; all servers are started for this.

    PARTS are: bodies (how long the worst bodies block the event loop), referrals (compared with the framework's empty
    route), wallets (compared with `pgbench` and with other frameworks), loyalty (compared with `pgbench`), rooms
    (messages compared with `pgbench`, and streams) and moving (compared with COPY). Without PARTS, all of them run.

    Exit status: 0 when the run ended, for all figures; 1 if a server did not start or an answer was wrong.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with progress() as say:
            report = _measure(say, parts or PARTS, is_quick=quick)
    except (ServerFailed, WrongAnswer) as error:
        sys.exit(f"bench: {error}")
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        show(report)


def _measure(say: Say, parts: tuple[str, ...], *, is_quick: bool) -> Report:
    began, load_before = time.monotonic(), os.getloadavg()[0]
    rows: list[Row] = []
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # Others may enter the folder, because root's database may run as another user.
        for part in parts:
            (folder / part).mkdir(mode=0o711)
            if part == "bodies":
                rows += bodies.measure(say, bodies.QUICK if is_quick else bodies.FULL)
            elif part == "referrals":
                rows += referrals.measure(folder / part, say, referrals.QUICK if is_quick else referrals.FULL)
            elif part == "loyalty":
                rows += loyalty.measure(folder / part, say, loyalty.QUICK if is_quick else loyalty.FULL)
            elif part == "rooms":
                rows += rooms.measure(folder / part, say, rooms.QUICK if is_quick else rooms.FULL)
            elif part == "moving":
                rows += moving.measure(folder / part, say, moving.QUICK if is_quick else moving.FULL)
            else:
                rows += wallets.measure(folder / part, say, wallets.QUICK if is_quick else wallets.FULL)
        file_system = _file_system(folder)
    return Report(
        cores=psutil.cpu_count() or 1,
        load_before=load_before,
        is_quick=is_quick,
        client="wrk" if wrk() is not None else "our own client",
        durable_on=file_system,
        seconds=time.monotonic() - began,
        rows=rows,
    )


def _file_system(folder: Path) -> str:
    """Return the type of the file system that a folder is on: a commit to memory costs no flush."""
    mounts = [part for part in psutil.disk_partitions(all=True) if folder.is_relative_to(part.mountpoint)]
    return max(mounts, key=lambda part: len(part.mountpoint)).fstype if mounts else "an unknown file system"


if __name__ == "__main__":
    main()
