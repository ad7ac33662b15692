"""`make bench`: how fast the service is, next to the framework it is built on, in one run."""

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import msgspec
import psutil
import rich_click as click

from bench.client import WrongAnswer
from bench.drivers import wrk
from bench.messages import Signer
from bench.report import Report, Say, progress, show
from bench.scenarios import FULL, QUICK, Bench, memory, questions, resolving, resolving_later, time_to_code, writing
from bench.servers import ServerFailed, framework, tallystick


@click.command()
@click.option("--quick", is_flag=True, help="A look in 15 seconds, with few rounds of each.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def main(quick: bool, as_json: bool) -> None:
    """Measure the service against the empty route of its framework, both started for this.

    Exit status: 0 done, whatever the figures are; 1 a server did not start, or an answer was wrong.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with progress() as say:
            report = _measure(say, is_quick=quick)
    except (ServerFailed, WrongAnswer) as error:
        sys.exit(f"bench: {error}")
    if as_json:
        print(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        show(report)


def _measure(say: Say, *, is_quick: bool) -> Report:
    began, load_before = time.monotonic(), os.getloadavg()[0]
    signer = Signer()
    with tempfile.TemporaryDirectory(prefix="tallystick-bench-") as name:
        folder = Path(name)
        folder.chmod(0o711)  # passable, for the database of root may run as another user
        say("starting the servers")
        with (
            framework(folder / "framework") as reference,
            tallystick(
                folder / "service", jwt_secret=signer.jwt_secret, webhook_secret=signer.webhook_secret
            ) as service,
        ):
            bench = Bench(service, reference, signer, QUICK if is_quick else FULL, say)
            asked = questions(bench)
            rows = resolving(bench, asked)
            written = writing(bench)
            rows += [*written.rows, time_to_code(bench, written.webhooks_per_second)]
            rows += [*resolving_later(bench, asked, written.callers), memory(bench)]
            say("ending the servers")
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
