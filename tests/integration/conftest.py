"""A real PostgreSQL for every test: an embedded server a worker, a fresh database a test."""

import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import OWNER, SERVICE, provision
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tests.http.services import Caller, Serve, running, settings
from tests.worlds.world import World

NewDatabase = Callable[[], Awaitable[str]]


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
    folder = Path(tempfile.mkdtemp(prefix="tallystick-test-"))
    cluster = Cluster(folder, options={"max_connections": "300"})
    try:
        cluster.start()
        yield cluster.dsn("postgres", "postgres"), cluster.password
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
async def new_database(server: tuple[str, str]) -> AsyncIterator[NewDatabase]:
    """Return a function that clones the migrated template and returns the owner's DSN."""
    superuser, password = server
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    template = f"tallystick_template_{worker}"
    await provision(superuser, password=password, service_password=password, database=template)
    await Migrator(owner_of(superuser, password, template), now=lambda: datetime.now(UTC)).apply()
    administrator = await asyncpg.connect(superuser)
    clones: list[str] = []

    async def clone() -> str:
        clones.append(f"tallystick_{worker}_{len(clones)}")
        await administrator.execute(f'CREATE DATABASE "{clones[-1]}" TEMPLATE "{template}" OWNER {OWNER}')
        return owner_of(superuser, password, clones[-1])

    yield clone
    if "TALLYSTICK_TEST_DATABASE_URL" in os.environ:  # every other server goes away as a whole
        for name in (*clones, template):
            await administrator.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
    await administrator.close()


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
async def dsn(new_database: NewDatabase) -> str:
    """Return the owner's DSN of a fresh, migrated database."""
    return await new_database()


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


@pytest.fixture
async def world(shared_database: Database, server: tuple[str, str]) -> World:
    """Return a world on an empty database."""
    await _empty(with_database(server[0], shared_database.name))
    return World(PostgresTransactions(shared_database))


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


async def _empty(superuser: str) -> None:
    connection = await asyncpg.connect(superuser)
    try:
        tables = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'tallystick'::regnamespace AND relkind = 'r' "
            "AND relname <> 'schema_migrations'"
        )
        # Foreign keys are triggers, and off for this role: the order of the tables does not matter.
        deletes = "; ".join(f"DELETE FROM tallystick.{row['relname']}" for row in tables)
        await connection.execute(f"SET session_replication_role = replica; {deletes}")
    finally:
        await connection.close()
