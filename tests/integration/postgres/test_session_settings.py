"""The settings of every session: each pool and each session beside them is asked for what it was to be set to.

The login here is the owner's, which has no settings of its own that could stand in for what a session lacks.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack

import pytest

from tallystick.adapters.postgres.database import Connection, Database
from tallystick.adapters.postgres.maintenance import owner_session
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.adapters.telemetry.store_calls import MeasuredTransactions
from tallystick.application.reads import SlowReads
from tallystick.entrypoints.cli.session import pool_of
from tests.http.services import running, settings
from tests.integration.postgres.sessions import Session

SERVICE = {
    "application_name": "tallystick",
    "role": "tallystick_app",
    "search_path": "tallystick",
    "jit": "off",
    "enable_seqscan": "off",
    "statement_timeout": "5s",
    "lock_timeout": "1500ms",
    "idle_in_transaction_session_timeout": "10s",
}
SLOW = {**SERVICE, "statement_timeout": "1min", "idle_in_transaction_session_timeout": "2min"}
POOLS: Mapping[str, Mapping[str, str]] = {"pool": SERVICE, "slow reads": SLOW, "commands": SERVICE}
MAINTENANCE = {
    "application_name": "tallystick a test",
    "search_path": "tallystick",
    "statement_timeout": "0",
    "idle_session_timeout": "0",
}


@pytest.fixture
async def pools(migrated_dsn: str) -> AsyncIterator[Mapping[str, Database]]:
    """Return every pool that a server and commands have."""
    given = settings(database_url=migrated_dsn)
    async with AsyncExitStack() as stack:
        _, container = await stack.enter_async_context(running(given, "postgres"))
        measured = (await container.get(SlowReads))._transactions
        assert isinstance(measured, MeasuredTransactions)
        slow = measured._inner
        assert isinstance(slow, PostgresTransactions)
        commands = Database(migrated_dsn, pool_of(given))
        await commands.open()
        yield {"pool": await container.get(Database), "slow reads": slow._database, "commands": commands}
        await commands.close()


async def shown(connection: "Connection | Session", names: Mapping[str, str]) -> dict[str, str]:
    return {name: await connection.fetchval(f"SHOW {name}") for name in names}


@pytest.mark.parametrize("name", POOLS)
async def test_a_session_of_a_pool_is_set_as_it_has_to_be(name: str, pools: Mapping[str, Database]) -> None:
    async with pools[name].connection() as connection:
        assert await shown(connection, POOLS[name]) == POOLS[name]


async def test_a_setting_survives_the_transactions_of_its_session(pools: Mapping[str, Database]) -> None:
    transactions = PostgresTransactions(pools["pool"])
    for _ in range(3):
        async with transactions.begin():
            pass

    async with pools["pool"].connection() as connection:
        assert await shown(connection, SERVICE) == SERVICE


def test_every_setting_is_among_those_that_are_asked_for(pools: Mapping[str, Database]) -> None:
    for database in pools.values():
        assert {"application_name", *database.session_settings} == SERVICE.keys()


async def test_a_session_of_maintenance_is_set_as_it_has_to_be(migrated_dsn: str) -> None:
    async with owner_session(migrated_dsn, name="a test") as connection:
        assert await shown(connection, MAINTENANCE) == MAINTENANCE
