"""The figures of the pool: connections that are in use, and callers that wait for one."""

import asyncio

import pytest

from tallystick.adapters.postgres.connecting import Unreachable
from tallystick.adapters.postgres.database import Database, PoolSettings
from tests.integration.conftest import service_of


async def test_connections_in_use_and_callers_that_wait_are_counted(migrated_dsn: str) -> None:
    database = Database(service_of(migrated_dsn), PoolSettings(size=1, acquire_seconds=0.05))
    await database.open()

    async with database.connection():
        waiting = asyncio.create_task(database.enter())
        await asyncio.sleep(0)
        assert (database.limit, database.in_use, database.waiting) == (1, 1, 1)
        with pytest.raises(Unreachable):
            await waiting

    assert (database.in_use, database.waiting) == (0, 0)
    await database.close()
