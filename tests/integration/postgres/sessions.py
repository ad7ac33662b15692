"""Sessions beside the service's own: they read, spoil or lock the rows of a test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tallystick.adapters.postgres.database import Connection, Database, PoolSettings
from tallystick.adapters.postgres.stores.users import PostgresUsers
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.application.transactions import Stores
from tests.integration.conftest import with_database

Session: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@asynccontextmanager
async def session(dsn: str) -> AsyncIterator[Session]:
    """Open a session and close it at the end."""
    connection = await asyncpg.connect(dsn)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def pool_on(dsn: str, settings: PoolSettings | None = None) -> AsyncIterator[Database]:
    """Open a pool as the service has it, and close it at the end."""
    database = Database(dsn, settings)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def transactions_on(dsn: str, settings: PoolSettings | None = None) -> AsyncIterator[PostgresTransactions]:
    """Open a pool as the service has it, for its transactions."""
    async with pool_on(dsn, settings) as database:
        yield PostgresTransactions(database)


def database_name(dsn: str) -> str:
    """Return the database that a DSN names."""
    return urlsplit(dsn).path.removeprefix("/")


def superuser_of(server: tuple[str, str], dsn: str) -> str:
    """Return the superuser's DSN for the database of another DSN."""
    return with_database(server[0], database_name(dsn))


def login_of(dsn: str, user: str, password: str) -> str:
    """Return the DSN with somebody else's name."""
    parts = urlsplit(dsn)
    return urlunsplit(parts._replace(netloc=f"{user}:{password}@{parts.netloc.rpartition('@')[2]}"))


def connection_of(stores: Stores) -> Connection:
    """Return the connection that the stores of a transaction speak on, for statements that no store has."""
    users = stores.users
    assert isinstance(users, PostgresUsers)
    return users._connection
