"""Drills in which PgBouncer, with the configuration of docker/pgbouncer, is restarted or gone."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drills.databases import NOT_REACHED
from drills.report import Drill, DrillResult
from drills.testbed import Testbed, new_testbed, under_load
from drills.watching import watched
from tallystick.adapters.embedded.provision import DATABASE, SERVICE
from tests.integration.poolers import Pooler, pooling

RESTARTS = 3
GONE_SECONDS = 15.0
CAUSES = ("unreachable", "lost", "waited", "commit_lost")


@asynccontextmanager
async def _pooled() -> AsyncIterator[tuple[Testbed, Pooler]]:
    """Start two servers behind a pooler, which have a direct connection for notifications only."""
    async with new_testbed(servers=0) as testbed:
        with pooling(testbed.superuser_dsn, testbed.cluster.password) as pooler:
            testbed.database_url = pooler.dsn(SERVICE, DATABASE)
            for _ in range(2):
                await testbed.start(DATABASE_DIRECT_URL=testbed.owner_dsn, TALLYSTICK_CACHE_STATEMENTS="off")
            yield testbed, pooler


async def _pooler_restarted() -> DrillResult:
    async with _pooled() as (testbed, pooler), under_load(testbed) as traffic, watched(testbed, traffic) as watch:
        for _ in range(RESTARTS):
            await traffic.clients.until_successes(100)
            await asyncio.to_thread(pooler.stop, signal.SIGINT)
            await asyncio.to_thread(pooler.start)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(healthy, is_brief=True, causes=CAUSES)


async def _pooler_gone() -> DrillResult:
    async with _pooled() as (testbed, pooler), under_load(testbed) as traffic, watched(testbed, traffic) as watch:
        await asyncio.to_thread(pooler.stop, signal.SIGKILL)
        await asyncio.sleep(GONE_SECONDS)
        await asyncio.to_thread(pooler.start)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(healthy, reason=NOT_REACHED, causes=CAUSES)


DRILLS = (
    Drill("pooler-restarted", f"PgBouncer is restarted {RESTARTS} times", _pooler_restarted),
    Drill("pooler-gone", f"PgBouncer is gone for {GONE_SECONDS:.0f} s", _pooler_gone),
)
