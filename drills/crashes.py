"""Drills in which a process is killed."""

import asyncio

from drills.report import Drill, Shown
from drills.stage import busy, staged

CRASHES = 3


async def _database_crashes() -> Shown:
    async with staged(servers=2) as stage, busy(stage) as traffic:
        for _ in range(CRASHES):
            await traffic.clients.until_successes(300)
            await asyncio.to_thread(stage.cluster.crash)
            await asyncio.to_thread(stage.cluster.revive)
        healthy = await traffic.seconds_until_healthy()
        return traffic.shown(healthy)


DRILLS = (Drill("database-crashes", f"PostgreSQL crashes {CRASHES} times under load", _database_crashes),)
