"""Drills in which a process is killed."""

import asyncio

from drills.report import Drill, DrillResult
from drills.testbed import new_testbed, under_load

CRASHES = 3


async def _database_crashes() -> DrillResult:
    async with new_testbed(servers=2) as testbed, under_load(testbed) as traffic:
        for _ in range(CRASHES):
            await traffic.clients.until_successes(300)
            await asyncio.to_thread(testbed.cluster.crash)
            await asyncio.to_thread(testbed.cluster.revive)
        healthy = await traffic.seconds_until_healthy()
        return traffic.shown(healthy)


DRILLS = (Drill("database-crashes", f"PostgreSQL crashes {CRASHES} times under load", _database_crashes),)
