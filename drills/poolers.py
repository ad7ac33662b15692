"""Drills in which PgBouncer, with the configuration of docker/pgbouncer, is restarted or gone."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drills.databases import NOT_REACHED
from drills.report import Drill, Shown
from drills.stage import Stage, busy, staged
from drills.watching import watched
from tallystick.adapters.embedded.provision import DATABASE, SERVICE
from tests.integration.poolers import Pooler, pooling

RESTARTS = 3
GONE_SECONDS = 15.0
CAUSES = ("unreachable", "lost", "waited", "commit_lost")


@asynccontextmanager
async def _pooled() -> AsyncIterator[tuple[Stage, Pooler]]:
    """Start two servers behind a pooler, which have a direct connection for notifications only."""
    async with staged(servers=0) as stage:
        with pooling(stage.superuser_dsn, stage.cluster.password) as pooler:
            stage.database_url = pooler.dsn(SERVICE, DATABASE)
            for _ in range(2):
                await stage.start(DATABASE_DIRECT_URL=stage.owner_dsn, TALLYSTICK_CACHE_STATEMENTS="off")
            yield stage, pooler


async def _pooler_restarted() -> Shown:
    async with _pooled() as (stage, pooler), busy(stage) as traffic, watched(stage, traffic) as watch:
        for _ in range(RESTARTS):
            await traffic.clients.until_successes(100)
            await asyncio.to_thread(pooler.stop, signal.SIGINT)
            await asyncio.to_thread(pooler.start)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(healthy, is_brief=True, causes=CAUSES)


async def _pooler_gone() -> Shown:
    async with _pooled() as (stage, pooler), busy(stage) as traffic, watched(stage, traffic) as watch:
        await asyncio.to_thread(pooler.stop, signal.SIGKILL)
        await asyncio.sleep(GONE_SECONDS)
        await asyncio.to_thread(pooler.start)
        healthy = await traffic.seconds_until_healthy()
        return await watch.shown(healthy, reason=NOT_REACHED, causes=CAUSES)


DRILLS = (
    Drill("pooler-restarted", f"PgBouncer is restarted {RESTARTS} times", _pooler_restarted),
    Drill("pooler-gone", f"PgBouncer is gone for {GONE_SECONDS:.0f} s", _pooler_gone),
)
