"""A real PostgreSQL for every test: an embedded server a worker, a fresh database a test."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any, TypeAlias
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import OWNER, SERVICE, provision
from tallystick.adapters.memory.ports import ManualClock
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tests.http.replacements import stopped
from tests.http.services import Caller, Serve, running, settings
from tests.processes.folders import database_folder
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

NewDatabase = Callable[[], Awaitable[str]]
Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
# Tests open thousands of connections: a password is hashed once for each, not 4,096 times.
OPTIONS = {"max_connections": "300", "max_wal_size": "256MB", "scram_iterations": "1"}


@pytest.fixture(scope="session")
def server() -> Iterator[tuple[str, str]]:
    """Return a superuser's DSN of the server under test, embedded, given or a container, and both logins' password."""
    given = os.environ.get("TALLYSTICK_TEST_DATABASE_URL")
    if given is not None:
        yield given, "tallystick"
        return
    if os.environ.get("TALLYSTICK_TEST_DATABASE") == "container":
        from testcontainers.community.postgres import PostgresContainer  # noqa: PLC0415  needs a Docker engine

        with PostgresContainer("postgres:18", driver=None) as container:
            yield container.get_connection_url(), "tallystick"
        return
    with database_folder() as folder:
        cluster = Cluster(folder, options=OPTIONS)
        try:
            cluster.start()
            yield cluster.dsn("postgres", "postgres"), cluster.password
        finally:
            cluster.stop()


@pytest.fixture(scope="session")
async def administrator(server: tuple[str, str]) -> AsyncIterator[Connection]:
    """Return a superuser's connection that makes and drops databases."""
    connection = await asyncpg.connect(server[0])
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
async def new_database(server: tuple[str, str], administrator: Connection) -> AsyncIterator[NewDatabase]:
    """Return a function that clones the migrated template and returns the owner's DSN."""
    superuser, password = server
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    template = f"tallystick_template_{worker}"
    await provision(superuser, password=password, service_password=password, database=template)
    await Migrator(owner_of(superuser, password, template), now=lambda: datetime.now(UTC)).apply()
    clones: list[str] = []

    async def clone() -> str:
        clones.append(f"tallystick_{worker}_{len(clones)}")
        await administrator.execute(f'CREATE DATABASE "{clones[-1]}" TEMPLATE "{template}" OWNER {OWNER}')
        return owner_of(superuser, password, clones[-1])

    yield clone
    if "TALLYSTICK_TEST_DATABASE_URL" in os.environ:  # every other server goes away as a whole
        for name in (*clones, template):
            await administrator.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def with_database(dsn: str, database: str) -> str:
    """Return the DSN for another database of the same server."""
    return urlunsplit(urlsplit(dsn)._replace(path=f"/{database}"))


def owner_of(superuser: str, password: str, database: str) -> str:
    """Return the owner's DSN for a database of the superuser's server."""
    parts = urlsplit(with_database(superuser, database))
    return urlunsplit(parts._replace(netloc=f"{OWNER}:{password}@{parts.netloc.rpartition('@')[2]}"))


def service_of(owner_dsn: str) -> str:
    """Return the DSN of the service's login for the database of the owner's DSN."""
    parts = urlsplit(owner_dsn)
    return urlunsplit(parts._replace(netloc=parts.netloc.replace(f"{OWNER}:", f"{SERVICE}:", 1)))


@pytest.fixture
async def dsn(new_database: NewDatabase, administrator: Connection) -> AsyncIterator[str]:
    """Return the owner's DSN of a fresh, migrated database, which is dropped at the end: hundreds fill the memory."""
    fresh = await new_database()
    yield fresh
    await administrator.execute(f'DROP DATABASE "{Database(fresh).name}" WITH (FORCE)')


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """Return a pool on a fresh database, as the service has it."""
    pool = Database(service_of(dsn))
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
async def owner_dsn(new_database: NewDatabase) -> str:
    """Return the owner's DSN of a database that the tests of a module empty in turn: a clone costs more."""
    return await new_database()


@pytest.fixture(scope="module")
async def shared_database(owner_dsn: str) -> AsyncIterator[Database]:
    """Return a pool on the module's database."""
    pool = Database(service_of(owner_dsn))
    await pool.open()
    yield pool
    await pool.close()


@pytest.fixture(scope="module")
async def empty(shared_database: Database, server: tuple[str, str]) -> AsyncIterator[Callable[[], Awaitable[None]]]:
    """Return a function that empties the module's database."""
    superuser = with_database(server[0], shared_database.name)
    connection = await asyncpg.connect(superuser)

    async def empty() -> None:
        nonlocal connection
        if connection.is_closed():  # a test that ends all connections ended this one too
            connection = await asyncpg.connect(superuser)
        await empty_tables(connection)

    yield empty
    await connection.close()


@pytest.fixture
async def world(shared_database: Database, empty: Callable[[], Awaitable[None]]) -> World:
    """Return a world on an empty database."""
    await empty()
    return World(PostgresBackend(shared_database))


@pytest.fixture
async def serve(world: World, owner_dsn: str) -> AsyncIterator[Serve]:
    """Return a function that starts the service with some settings, on an empty database."""
    async with AsyncExitStack() as services:

        async def start(**changes: Any) -> Caller:
            given = settings(database_url=service_of(owner_dsn), **changes)
            caller, _ = await services.enter_async_context(running(given, "postgres"))
            return caller

        yield start


@pytest.fixture
async def anyone(serve: Serve) -> Caller:
    """Return a caller without a name."""
    return await serve()


@pytest.fixture
async def still(world: World, owner_dsn: str) -> AsyncIterator[Caller]:
    """Return a caller of a service whose clock stands still, on an empty database."""
    given = settings(database_url=service_of(owner_dsn))
    async with running(given, "postgres", stopped(ManualClock(datetime.now(UTC)))) as (caller, _):
        yield caller


async def empty_tables(superuser: Connection) -> None:
    """Delete every row of the service, as a superuser of its database."""
    tables = await superuser.fetch(
        "SELECT relname FROM pg_class WHERE relnamespace = 'tallystick'::regnamespace AND relkind = 'r' "
        "AND relname <> 'schema_migrations'"
    )
    # Foreign keys are triggers, and off for this role: the order of the tables does not matter.
    deletes = "; ".join(f"DELETE FROM tallystick.{row['relname']}" for row in tables)
    await superuser.execute(f"SET session_replication_role = replica; {deletes}")
