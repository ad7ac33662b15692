"""Drills in which PostgreSQL is gone, hangs, is read-only, or has no connection to give."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import asyncpg
import psutil

from drills.report import Drill, DrillResult
from drills.testbed import Testbed, new_testbed, under_load
from drills.watching import watched
from tallystick.adapters.embedded.postmaster import find_postmaster
from tallystick.adapters.embedded.provision import SERVICE

GONE_SECONDS, HUNG_SECONDS, READ_ONLY_SECONDS, FULL_SECONDS = 30.0, 20.0, 10.0, 10.0
CONNECTIONS = 30
TERMINATE = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = $1"
NOT_REACHED = "the database cannot be reached"


async def _database_gone() -> DrillResult:
    async with (
        new_testbed(servers=2) as testbed,
        under_load(testbed) as traffic,
        watched(testbed, traffic) as watch,
    ):
        await asyncio.to_thread(testbed.cluster.crash)
        await asyncio.sleep(GONE_SECONDS)
        await asyncio.to_thread(testbed.cluster.revive)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(healthy, reason=NOT_REACHED, causes=["unreachable", "lost", "waited", "commit_lost"])


async def _database_hung() -> DrillResult:
    async with (
        new_testbed(servers=2) as testbed,
        under_load(testbed) as traffic,
        watched(testbed, traffic) as watch,
    ):
        with _stopped(testbed.folder):
            await asyncio.sleep(HUNG_SECONDS)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(
            healthy,
            reason="the database",
            causes=["time_out", "unreachable", "pool", "waited", "lost", "commit_lost"],
        )


async def _database_read_only() -> DrillResult:
    async with (
        new_testbed(servers=2) as testbed,
        under_load(testbed) as traffic,
        watched(testbed, traffic) as watch,
    ):
        await _as_superuser(testbed, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        await asyncio.sleep(READ_ONLY_SECONDS)
        await _as_superuser(testbed, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")
        healthy = await traffic.seconds_until_healthy()
        if watch.for_reads != {200} or watch.reads != {"200"}:
            watch.differences.append(f"reads did not go on: {watch.for_reads}, {watch.reads}")
        return await watch.shown(
            healthy,
            "/readyz?for=reads stayed green, and reads were answered",
            reason="the database is read-only",
            causes=["read_only"],
        )


async def _out_of_slots() -> DrillResult:
    options = {"max_connections": str(CONNECTIONS)}
    async with (
        new_testbed(servers=2, options=options) as testbed,
        under_load(testbed) as traffic,
        watched(testbed, traffic) as watch,
    ):
        async with _every_slot(testbed):
            await asyncio.sleep(FULL_SECONDS)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(healthy, reason=NOT_REACHED, causes=["connections", "lost", "waited", "commit_lost"])


async def _as_superuser(testbed: Testbed, *statements: str) -> None:
    connection = await asyncpg.connect(testbed.superuser_dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def _stopped(folder: Path) -> Iterator[None]:
    """Stop every process of a PostgreSQL during the block: the first one at first, so that it starts no further one."""
    postmaster = find_postmaster(folder / "postgres")
    assert postmaster is not None
    postmaster.suspend()
    processes = [postmaster, *postmaster.children()]
    try:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@asynccontextmanager
async def _every_slot(testbed: Testbed) -> AsyncIterator[None]:
    """Take every connection of PostgreSQL during the block, also those that the service had."""
    taken: list[asyncpg.Connection[asyncpg.Record]] = []
    superuser = await asyncpg.connect(testbed.superuser_dsn)
    try:
        while await superuser.fetchval(TERMINATE, SERVICE):
            with suppress(asyncpg.TooManyConnectionsError):
                while True:
                    taken.append(await asyncpg.connect(testbed.owner_dsn))
        yield
    finally:
        await asyncio.gather(*(connection.close() for connection in taken))
        await superuser.close()


DRILLS = (
    Drill("database-gone", f"PostgreSQL is gone for {GONE_SECONDS:.0f} s", _database_gone),
    Drill("database-hung", f"PostgreSQL does not answer for {HUNG_SECONDS:.0f} s", _database_hung),
    Drill("database-read-only", f"PostgreSQL is read-only for {READ_ONLY_SECONDS:.0f} s", _database_read_only),
    Drill("out-of-slots", f"others use every connection of PostgreSQL for {FULL_SECONDS:.0f} s", _out_of_slots),
)
