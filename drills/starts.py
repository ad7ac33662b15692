"""The drill in which servers are started before their database."""

import asyncio
import time
from functools import partial

from drills.report import Drill, DrillResult
from drills.testbed import new_testbed, under_load
from tests.processes.installations import until_ready, until_true
from tests.processes.service import Process

WAITING = "waiting: the database cannot be reached: "
BEFORE_SECONDS = 5.0


async def _started_before_the_database() -> DrillResult:
    async with new_testbed(servers=0) as testbed:
        await asyncio.to_thread(testbed.cluster.crash)
        servers = [testbed.launch() for _ in range(2)]
        for server in servers:
            await asyncio.to_thread(until_true, partial(_waits, server), "the server does not print that it waits")
        await asyncio.sleep(BEFORE_SECONDS)
        differences = [f"a server ended: {server.output}" for server in servers if not server.is_running]
        await asyncio.to_thread(testbed.cluster.revive)
        began = time.monotonic()
        for server in servers:
            await asyncio.to_thread(server.wait_until_listening)
            await asyncio.to_thread(until_ready, server.address)
        healthy = time.monotonic() - began
        async with under_load(testbed) as traffic:
            traffic.differences += differences
            await traffic.clients.until_successes(100)
            traffic.expect_answers()
            return traffic.shown(healthy, f"the servers wait, do not listen, and print: {WAITING}...")


def _waits(server: Process) -> bool:
    return WAITING in server.output


DRILLS = (
    Drill(
        "started-before-the-database",
        f"Two servers start {BEFORE_SECONDS:.0f} s before their database",
        _started_before_the_database,
    ),
)
