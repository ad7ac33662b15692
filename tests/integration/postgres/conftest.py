"""Databases and servers to be looked at and spoilt: used again where that is right, for making them is slow."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import Session, database_name, session, superuser_of
from tests.integration.postgres.twins import Twins
from tests.processes.folders import database_folder


@pytest.fixture
async def empty_dsn(owner_dsn: str) -> str:
    """Return the owner's DSN of a database without the schema; the roles are there."""
    async with session(owner_dsn) as owner:
        await owner.execute("SET default_transaction_read_only = off")  # what a test may have left
        await owner.execute("DROP SCHEMA IF EXISTS tallystick CASCADE")
        await owner.execute(f'ALTER DATABASE "{database_name(owner_dsn)}" RESET ALL')
    return owner_dsn


@pytest.fixture
async def migrated_dsn(empty_dsn: str) -> str:
    """Return the owner's DSN of a database that was just migrated."""
    await migrator(empty_dsn).apply()
    return empty_dsn


@pytest.fixture
async def owner(migrated_dsn: str) -> AsyncIterator[Session]:
    """Return a session of the owner on the migrated database."""
    async with session(migrated_dsn) as connection:
        yield connection


@pytest.fixture
async def superuser(server: tuple[str, str], migrated_dsn: str) -> AsyncIterator[Session]:
    """Return a session of the superuser on the migrated database."""
    async with session(superuser_of(server, migrated_dsn)) as connection:
        yield connection


@pytest.fixture(scope="session")
def cluster_folder() -> Iterator[Path]:
    """Return a data directory in which a cluster was made, beside that of the server under test."""
    with database_folder() as parent:
        folder = parent / "data"
        cluster = Cluster(folder)
        try:
            cluster.start()
        finally:
            cluster.stop()
        yield folder


@pytest.fixture
def cluster(cluster_folder: Path) -> Iterator[Cluster]:
    """Return a cluster that is stopped, and stop it at the end."""
    cluster = Cluster(cluster_folder)
    try:
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture(scope="module")
def bare_server(cluster_folder: Path) -> Iterator[Cluster]:
    """Return a running cluster without roles and schema; each test that uses it empties it afterwards."""
    cluster = Cluster(cluster_folder, options={"fsync": "off"})  # databases come and go
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.stop()


@pytest.fixture
def twins(owner_dsn: str, server: tuple[str, str]) -> Iterator[Twins]:
    """Return two worlds, in memory and on PostgreSQL."""
    twins = Twins(owner_dsn, superuser_of(server, owner_dsn))
    yield twins
    twins.close()
