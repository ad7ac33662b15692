"""Installations of the service, and databases that nobody has migrated."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager

import asyncpg
import pytest

from tallystick.adapters.embedded.provision import OWNER, provision
from tallystick.adapters.postgres.database import Database
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET
from tests.integration.conftest import owner_of, service_of, with_database
from tests.processes.folders import database_folder
from tests.processes.installations import Installation

Spoil = Callable[[str], Awaitable[None]]


@pytest.fixture
def installation() -> Iterator[Installation]:
    """Return an installation in an empty folder: on its embedded database, with the secrets that it draws."""
    with installed({}) as installation:
        yield installation


@pytest.fixture
def connected(dsn: str) -> Iterator[Installation]:
    """Return an installation on an ordinary, migrated database."""
    with installed(on(dsn)) as installation:
        yield installation


@pytest.fixture
async def unmigrated_dsn(server: tuple[str, str]) -> AsyncIterator[str]:
    """Return the owner's DSN of a database in which nothing was ever migrated; the roles are there."""
    superuser, password = server
    name = f"tallystick_new_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    await provision(superuser, password=password, service_password=password, database=name)
    yield owner_of(superuser, password, name)
    administrator = await asyncpg.connect(superuser)
    await administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await administrator.close()


@pytest.fixture
async def empty_dsn(server: tuple[str, str]) -> AsyncIterator[str]:
    """Return the owner's DSN of a database without the schema, on the server of the tests."""
    name = f"tallystick_restored_{os.environ.get('PYTEST_XDIST_WORKER', 'main')}"
    administrator = await asyncpg.connect(server[0])
    await administrator.execute(f'CREATE DATABASE "{name}" OWNER {OWNER}')
    yield owner_of(server[0], server[1], name)
    await administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
    await administrator.close()


@pytest.fixture
def unmigrated(unmigrated_dsn: str) -> Iterator[Installation]:
    """Return an installation on an ordinary database in which nothing was ever migrated."""
    with installed(on(unmigrated_dsn)) as installation:
        yield installation


@pytest.fixture
def spoil(server: tuple[str, str], dsn: str) -> Spoil:
    """Return a function that lets the superuser do what nobody else may, in the database of `connected`."""

    async def execute(sql: str) -> None:
        connection = await asyncpg.connect(with_database(server[0], Database(dsn).name))
        try:
            await connection.execute(sql)
        finally:
            await connection.close()

    return execute


@contextmanager
def installed(environment: Mapping[str, str]) -> Iterator[Installation]:
    """Install the service in an empty folder; its processes are ended, also after a failed start."""
    with database_folder() as folder:
        installation = Installation(folder, environment)
        try:
            yield installation
        finally:
            installation.end()


def on(dsn: str) -> dict[str, str]:
    """Return the environment of an installation on an ordinary database, of which this is the owner's DSN."""
    logins = {"DATABASE_URL": service_of(dsn), "DATABASE_DIRECT_URL": dsn}
    return {**logins, "TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET}
