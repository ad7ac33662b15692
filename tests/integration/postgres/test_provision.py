"""Provisioning of a fresh server, before it is migrated."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import DATABASE, OWNER, provision
from tests.integration.postgres.clusters import empty
from tests.integration.postgres.sessions import session


@pytest.fixture
async def superuser_dsn(bare_server: Cluster) -> AsyncIterator[str]:
    """Return the superuser's DSN of a server that was provided with nothing."""
    yield bare_server.dsn("postgres", "postgres")
    await empty(bare_server)


async def test_the_owner_has_the_database_and_no_power_beyond_it(bare_server: Cluster, superuser_dsn: str) -> None:
    await provision(superuser_dsn, password="secret", service_password="other secret")

    async with session(bare_server.dsn(OWNER, DATABASE, "secret")) as owner:
        role = await owner.fetchrow(
            "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, rolreplication "
            "FROM pg_roles WHERE rolname = current_user"
        )
        assert role is not None
        assert not any(role.values())
        assert (
            await owner.fetchval("SELECT datdba::regrole::text FROM pg_database WHERE datname = current_database()")
            == OWNER
        )
        await owner.execute("SET ROLE tallystick_app")


async def test_the_other_roles_are_there_and_cannot_log_in(superuser_dsn: str) -> None:
    await provision(superuser_dsn, password="secret", service_password="other secret")

    async with session(superuser_dsn) as administrator:
        rows = await administrator.fetch(
            "SELECT rolname FROM pg_roles WHERE NOT rolcanlogin AND rolname NOT LIKE 'pg\\_%' ORDER BY rolname"
        )
    assert [row["rolname"] for row in rows] == ["anon", "authenticated", "tallystick_app"]


async def test_doing_it_again_changes_nothing_but_the_password(bare_server: Cluster, superuser_dsn: str) -> None:
    await provision(superuser_dsn, password="secret", service_password="other secret")
    async with session(bare_server.dsn(OWNER, DATABASE, "secret")) as owner:
        await owner.execute("CREATE TABLE words (word text)")

    await provision(superuser_dsn, password="another", service_password="other secret")

    async with session(bare_server.dsn(OWNER, DATABASE, "another")) as owner:
        assert await owner.fetchval("SELECT to_regclass('words')") is not None
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(bare_server.dsn(OWNER, DATABASE, "secret"))


async def test_roles_that_were_there_before_are_taken_as_they_are(superuser_dsn: str) -> None:
    async with session(superuser_dsn) as administrator:
        await administrator.execute("CREATE ROLE anon NOLOGIN NOINHERIT")

        await provision(superuser_dsn, password="secret", service_password="other secret")

        assert await administrator.fetchval("SELECT NOT rolinherit FROM pg_roles WHERE rolname = 'anon'")


async def test_several_at_once_do_not_trip_over_each_other(superuser_dsn: str) -> None:
    """As the workers of a test run do that share a server."""
    databases = [f"tallystick_{number}" for number in range(5)]

    outcomes = await asyncio.gather(
        *(
            provision(superuser_dsn, password="secret", service_password="other secret", database=name)
            for name in databases
        ),
        return_exceptions=True,
    )

    assert outcomes == [None] * len(databases)
    async with session(superuser_dsn) as administrator:
        rows = await administrator.fetch("SELECT datname FROM pg_database WHERE datname ~ 'tally' ORDER BY datname")
    assert [row["datname"] for row in rows] == databases
