"""The first migration on a server that was prepared by nobody: its owner may create roles and is no superuser."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.domain.users import UserId
from tests.integration.conftest import with_database
from tests.integration.postgres.clusters import empty
from tests.integration.postgres.schemas import NOW, migrator
from tests.integration.postgres.sessions import connection_of, session, transactions_on

OWNER, PASSWORD = "somebody", "a password"
WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


@pytest.fixture
async def somebodys_dsn(bare_server: Cluster) -> AsyncIterator[str]:
    """Return the DSN of an owner on a server without the roles."""
    async with session(bare_server.dsn("postgres", "postgres")) as administrator:
        await administrator.execute(f"CREATE ROLE {OWNER} LOGIN CREATEROLE PASSWORD '{PASSWORD}'")
        await administrator.execute(f"CREATE DATABASE app OWNER {OWNER}")
    yield bare_server.dsn(OWNER, "app", PASSWORD)
    await empty(bare_server)


async def test_the_roles_are_created_where_they_are_missing(somebodys_dsn: str) -> None:
    assert await migrator(somebodys_dsn).apply() == shipped()

    async with session(somebodys_dsn) as owner:
        roles = await owner.fetch(
            "SELECT rolname::text FROM pg_roles WHERE NOT rolcanlogin AND rolname !~ '^pg_' ORDER BY rolname"
        )
    assert [row["rolname"] for row in roles] == ["anon", "authenticated", "tallystick_app"]


async def test_a_login_that_created_the_roles_can_serve(somebodys_dsn: str) -> None:
    await migrator(somebodys_dsn).apply()

    async with transactions_on(somebodys_dsn) as transactions, transactions.reading() as stores:
        assert await connection_of(stores).fetchval("SELECT current_user") == "tallystick_app"
        assert await stores.users.find([UserId("ada")]) == {}


async def test_a_login_that_created_the_roles_is_bound_by_the_policies(somebodys_dsn: str) -> None:
    await migrator(somebodys_dsn).apply()
    async with transactions_on(somebodys_dsn) as transactions, transactions.begin() as stores:
        await stores.users.admit([UserId("ada")], NOW)

    async with session(somebodys_dsn) as owner:
        assert await owner.fetch("SELECT * FROM tallystick.users") == []


async def test_a_role_that_another_migrator_is_just_creating_is_waited_for(somebodys_dsn: str) -> None:
    async with session(with_database(somebodys_dsn, "postgres")) as rival, session(somebodys_dsn) as watcher:
        async with rival.transaction():
            await rival.execute("CREATE ROLE tallystick_app NOLOGIN")
            migrating = asyncio.create_task(migrator(somebodys_dsn).apply())
            async with asyncio.timeout(30):
                while not await watcher.fetchval(WAITING):  # noqa: ASYNC110  another session's doing has no event
                    await asyncio.sleep(0.01)

        assert await migrating == shipped()


async def test_migrators_of_several_databases_may_start_at_once(somebodys_dsn: str, bare_server: Cluster) -> None:
    """Roles are the server's, locks the database's: they meet at the roles."""
    async with session(bare_server.dsn("postgres", "postgres")) as administrator:
        await administrator.execute(f"CREATE DATABASE other OWNER {OWNER}")
    both = migrator(somebodys_dsn), migrator(with_database(somebodys_dsn, "other"))

    assert await asyncio.gather(*(each.apply() for each in both)) == [shipped(), shipped()]
