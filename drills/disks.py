"""Drills in which the disk of PostgreSQL is full: a file system of its own in memory, which a drill fills."""

import asyncio
import os
import shutil
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import asyncpg

from drills.databases import NOT_REACHED
from drills.report import Drill, DrillResult
from drills.testbed import Testbed, new_testbed, under_load
from drills.watching import watched

DATA_MEGABYTES, WAL_MEGABYTES = 512, 128
FULL_SECONDS = 8.0
NO_MOUNT = "a file system in memory cannot be mounted here, so that no disk can be filled; run the drills as root: "


async def _data_disk_full() -> DrillResult:
    with ExitStack() as disks:
        try:
            data = disks.enter_context(_disk(DATA_MEGABYTES))
        except subprocess.CalledProcessError as error:
            return _not_mounted(error)
        wal = disks.enter_context(_folder())
        async with (
            new_testbed(servers=2, folder=data, prepare=lambda postgres: _move_wal(postgres, wal)) as testbed,
            under_load(testbed) as traffic,
            watched(testbed, traffic) as watch,
        ):
            with _filled(data):
                await watch.until_cause("disk_full")
                await asyncio.sleep(FULL_SECONDS)
            healthy = await traffic.seconds_until_healthy()
            return await watch.shown(healthy, *watch.reads_went_on(), causes=["disk_full"])


async def _wal_disk_full() -> DrillResult:
    with ExitStack() as disks:
        try:
            wal = disks.enter_context(_disk(WAL_MEGABYTES))
        except subprocess.CalledProcessError as error:
            return _not_mounted(error)
        async with (
            new_testbed(servers=2, prepare=lambda postgres: _move_wal(postgres, wal)) as testbed,
            under_load(testbed) as traffic,
            watched(testbed, traffic) as watch,
        ):
            with _filled(wal):
                await _until_it_panics(testbed)
                await asyncio.sleep(FULL_SECONDS)
            ended = await asyncio.to_thread(_revive, testbed)
            healthy = await traffic.seconds_until_healthy()
            note = "PostgreSQL ended, and was started again" if ended else "PostgreSQL started again by itself"
            return await watch.shown(
                healthy, note, reason=NOT_REACHED, causes=["unreachable", "lost", "waited", "commit_lost"]
            )


async def _until_it_panics(testbed: Testbed) -> None:
    """Use up the segments of the log that are there, as hours of traffic would, until PostgreSQL needs one more."""
    with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError):
        connection = await asyncpg.connect(testbed.superuser_dsn)
        while True:
            await connection.execute("SELECT pg_logical_emit_message(false, 'drill', 'a record'), pg_switch_wal()")


def _revive(testbed: Testbed) -> bool:
    """Start PostgreSQL where it has ended, as its unit of systemd does, and return whether it had."""
    ended, until = False, time.monotonic() + FULL_SECONDS
    while not testbed.cluster.is_ready() and time.monotonic() < until:
        ended |= testbed.cluster.revive()
        time.sleep(0.1)
    return ended


def _not_mounted(error: subprocess.CalledProcessError) -> DrillResult:
    return DrillResult(Counter(), 0.0, 0.0, [f"{NO_MOUNT}{error.stderr.strip()}"])


@contextmanager
def _disk(megabytes: int) -> Iterator[Path]:
    """Mount a file system of this size during the block; CalledProcessError where that is not allowed."""
    with _folder() as folder:
        _run("mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tmpfs", str(folder))
        try:
            yield folder
        finally:
            _run("umount", str(folder))


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tallystick-disk-"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _move_wal(postgres: Path, disk: Path) -> None:
    """Move the log of changes to another disk, and leave a link, as operators do."""
    moved = disk / "pg_wal"
    _run("mv", str(postgres / "pg_wal"), str(moved))
    (postgres / "pg_wal").symlink_to(moved)


@contextmanager
def _filled(disk: Path) -> Iterator[None]:
    """Fill what is left of a disk during the block."""
    rest = disk / "rest"
    try:
        with rest.open("wb", buffering=0) as file:
            free = os.statvfs(disk)
            with suppress(OSError):
                os.posix_fallocate(file.fileno(), 0, free.f_bavail * free.f_bsize)
            with suppress(OSError):
                while True:
                    file.write(bytes(free.f_bsize))
        yield
    finally:
        rest.unlink(missing_ok=True)


def _run(*command: str) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


DRILLS = (
    Drill("data-disk-full", "the disk of the tables is full", _data_disk_full),
    Drill("wal-disk-full", "the disk of the write-ahead log is full, and PostgreSQL ends", _wal_disk_full),
)
