"""Advisory locks of a session: only one migrator and one backfill run at a time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

_POLL_SECONDS = 0.2


@asynccontextmanager
async def session_lock(connection: Connection, lock_id: int, *, wait_seconds: float) -> AsyncIterator[None]:
    """Hold a lock inside the block; TimeoutError where another session holds it for longer than `wait_seconds`.

    The lock is polled, because pg_advisory_lock() holds a snapshot while it waits, and CREATE INDEX CONCURRENTLY waits
    for the end of all snapshots.
    """
    async with asyncio.timeout(wait_seconds):
        while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", lock_id):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_SECONDS)
    try:
        yield
    finally:
        if not connection.is_closed():
            await connection.execute("SELECT pg_advisory_unlock($1)", lock_id)
