"""Two logins: the rights of the service's login in any role, and the logins that are refused."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tallystick.adapters.embedded.provision import OWNER, SERVICE
from tallystick.adapters.postgres.contract.database_contract import DatabaseContract
from tallystick.adapters.postgres.database import Database, PoolSettings, session_settings
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.migrating.migrator import MigrationRefused, Pending
from tallystick.adapters.system import SystemClock
from tests.integration.conftest import NewDatabase, service_of
from tests.integration.postgres.schemas import a_table, migrator
from tests.integration.postgres.sessions import Session, login_of, session, superuser_of

STRANGER = "tallystick_login_under_test"
ESCAPES = (
    "SET ROLE NONE",
    "RESET ROLE",
    f"SET ROLE {SERVICE}",
)
DESTRUCTION = (
    "DROP SCHEMA tallystick CASCADE",
    "DROP TABLE tallystick.ledger_entries",
    "TRUNCATE tallystick.ledger_entries",
    "DELETE FROM tallystick.ledger_entries",
    "ALTER TABLE tallystick.users NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE tallystick.ledger_entries DISABLE TRIGGER ALL",
    "CREATE TABLE tallystick.mine (word text)",
    f"SET ROLE {OWNER}",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION postgres",
    f"GRANT {OWNER} TO {SERVICE}",
    "CREATE ROLE another LOGIN",
    "SET session_replication_role = replica",
)


@pytest.fixture(scope="module")
async def service(new_database: NewDatabase) -> AsyncIterator[Session]:
    """Return a session of the login of the service, as its driver opens it."""
    dsn = service_of(await new_database())
    connection = await asyncpg.connect(dsn, server_settings=session_settings(PoolSettings()))
    yield connection
    await connection.close()


@pytest.mark.parametrize("escape", ESCAPES)
@pytest.mark.parametrize("statement", DESTRUCTION)
async def test_the_login_of_the_service_can_destroy_nothing(service: Session, escape: str, statement: str) -> None:
    await service.execute(escape)
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute(statement)
    finally:
        await service.execute("SET ROLE tallystick_app")


async def test_the_login_of_the_service_owns_nothing_and_is_a_member_of_one_role(service: Session) -> None:
    owned = await service.fetchval("SELECT count(*) FROM pg_class WHERE relowner = session_user::regrole")
    roles = await service.fetch(
        "SELECT rolname FROM pg_roles WHERE pg_has_role(session_user, oid, 'MEMBER') ORDER BY rolname"
    )

    assert owned == 0
    assert [row["rolname"] for row in roles] == ["tallystick_app", SERVICE]


async def test_it_is_the_service_with_its_time_outs_although_a_pooler_dropped_them(dsn: str) -> None:
    """As behind a pooler that drops startup parameters: the login has them as its own settings."""
    async with session(service_of(dsn)) as bare:
        for name, value in session_settings(PoolSettings()).items():
            found = await bare.fetchval("SELECT setting FROM pg_settings WHERE name = $1", name)
            assert (name, found or await bare.fetchval("SELECT current_user")) == (name, value)


async def breaches(dsn: str, *, accepts_single_login: bool = False) -> list[str]:
    database = Database(dsn)
    await database.open()
    try:
        contract = DatabaseContract(database, SystemClock(), accepts_single_login=accepts_single_login)
        return [fault.reason for fault in await contract.faults()]
    finally:
        await database.close()


class TestReadiness:
    @pytest.fixture
    async def stranger(self, server: tuple[str, str], dsn: str) -> AsyncIterator[Session]:
        """Create a login that is a member of tallystick_app, and return a superuser who gives it more."""
        async with session(superuser_of(server, dsn)) as superuser:
            await superuser.execute(f"CREATE ROLE {STRANGER} LOGIN PASSWORD '{server[1]}'")
            await superuser.execute(f"GRANT tallystick_app TO {STRANGER}")
            yield superuser
            await superuser.execute(f"DROP OWNED BY {STRANGER}")
            await superuser.execute(f"DROP ROLE {STRANGER}")

    async def test_the_login_of_the_service_may_serve(self, dsn: str) -> None:
        assert await breaches(service_of(dsn)) == []

    async def test_another_login_may_serve_too(self, dsn: str, server: tuple[str, str], stranger: Session) -> None:
        assert await breaches(login_of(dsn, STRANGER, server[1])) == []

    async def test_the_owner_may_not_although_it_speaks_as_the_service(self, dsn: str) -> None:
        (reason,) = await breaches(dsn)

        assert reason.startswith("the login of the service owns the schema or the database")
        assert "DATABASE_DIRECT_URL" in reason
        assert "TALLYSTICK_SINGLE_LOGIN=accept" in reason

    async def test_the_owner_may_where_the_operator_accepts_it(self, dsn: str) -> None:
        assert await breaches(dsn, accepts_single_login=True) == []

    async def test_a_superuser_may_not(self, dsn: str, server: tuple[str, str]) -> None:
        (reason,) = await breaches(superuser_of(server, dsn))

        assert reason.startswith("the login of the service is a superuser")

    @pytest.mark.parametrize(
        ("given", "power"),
        [
            (f"ALTER ROLE {STRANGER} SUPERUSER", "is a superuser"),
            (f"ALTER ROLE {STRANGER} BYPASSRLS", "may bypass row level security"),
            (f"ALTER ROLE {STRANGER} CREATEROLE", "may create roles"),
            (f"ALTER ROLE {STRANGER} REPLICATION", "may replicate the database"),
            (f"GRANT {OWNER} TO {STRANGER}", "owns the schema or the database, or may become their owner"),
            (f"GRANT pg_write_all_data TO {STRANGER}", "may write every table"),
            (f"GRANT pg_execute_server_program TO {STRANGER}", "may write every table or the server's files"),
            (f"ALTER TABLE tallystick.flags OWNER TO {STRANGER}", "owns the schema"),
        ],
    )
    async def test_a_login_with_any_other_power_may_not(
        self, given: str, power: str, dsn: str, server: tuple[str, str], stranger: Session
    ) -> None:
        await stranger.execute(given)
        try:
            found = await breaches(login_of(dsn, STRANGER, server[1]))
        finally:
            if given.startswith("ALTER TABLE"):
                await stranger.execute(f"ALTER TABLE tallystick.flags OWNER TO {OWNER}")

        assert [reason for reason in found if f"the login of the service {power}" in reason] == found[:1]


class TestMigrations:
    async def test_the_login_of_the_service_is_enough_where_nothing_is_missing(self, dsn: str) -> None:
        assert await migrator(service_of(dsn)).pending() == Pending(due=[], waiting=[])
        assert await migrator(service_of(dsn)).apply() == []

    async def test_it_may_not_migrate_and_the_setting_is_named(self, dsn: str) -> None:
        to_come = [*shipped(), a_table("9999", "words")]

        with pytest.raises(MigrationRefused, match="set DATABASE_DIRECT_URL to the owner"):
            await migrator(service_of(dsn), to_come).apply()
