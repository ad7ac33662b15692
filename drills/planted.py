"""Faults that are planted so that the checker has to find them: it is at fault where it does not."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import NamedTuple

import asyncpg

from drills.commits import commits_are_cut
from drills.mutants import MUTANTS
from drills.report import DrillResult
from drills.testbed import Testbed, new_testbed, under_load

ACKNOWLEDGED = 300
LAZY = (
    "ALTER SYSTEM SET synchronous_commit = off",
    "ALTER SYSTEM SET wal_writer_delay = '10s'",
    "ALTER SYSTEM SET wal_writer_flush_after = '1GB'",
    "SELECT pg_reload_conf()",
)


class Planted(NamedTuple):
    """A fault that must be found."""

    name: str
    run: Callable[[], Awaitable[DrillResult]]
    sign: str
    """A part of the difference that the checker has to find."""


async def commits_are_not_durable() -> DrillResult:
    """Let PostgreSQL acknowledge commits before they are on the disk, and crash it."""
    async with new_testbed() as testbed, under_load(testbed) as traffic:
        await _be_lazy(testbed)
        await traffic.clients.until_successes(ACKNOWLEDGED)
        await asyncio.to_thread(testbed.cluster.crash)
        await asyncio.to_thread(testbed.cluster.revive)
        return traffic.shown(await traffic.seconds_until_healthy())


async def _be_lazy(testbed: Testbed) -> None:
    connection = await asyncpg.connect(testbed.superuser_dsn)
    try:
        for statement in LAZY:
            await connection.execute(statement)
    finally:
        await connection.close()


PLANTED = (
    Planted(
        "commits are acknowledged before they are durable (synchronous_commit = off)",
        commits_are_not_durable,
        "was acknowledged, and is lost",
    ),
    *(Planted(mutant.name, partial(commits_are_cut, mutant), mutant.sign) for mutant in MUTANTS),
)
