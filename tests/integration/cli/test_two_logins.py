"""Two logins as an operator meets them: made by the embedded mode, asked for on an ordinary database."""

import stat

import asyncpg
import httpx2
import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import OWNER, SERVICE
from tests.integration.cli.conftest import on
from tests.integration.postgres.sessions import session
from tests.processes.installations import Installation, until

PASSWORDS = ("owner.password", "service.password", "postgres.password")


async def logins_of_the_server(installation: Installation) -> set[str]:
    """Return as whom the running server is connected."""
    async with session(Cluster(installation.data).dsn("postgres", "postgres")) as superuser:
        rows = await superuser.fetch(
            "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'tallystick%'"
        )
    return {row["usename"] for row in rows}


def readiness(address: str) -> tuple[int, list[str]]:
    """Return the status of /readyz and its reasons, once the server answers."""

    def asked() -> httpx2.Response | None:
        try:
            return httpx2.get(f"{address}/readyz", trust_env=False)
        except httpx2.TransportError:
            return None

    reply = until(asked, "nobody answers")
    return reply.status_code, reply.json()["reasons"]


async def test_the_embedded_mode_serves_as_a_login_that_can_drop_nothing(installation: Installation) -> None:
    server = installation.serve()
    installation.code_of("ada", server)

    assert await logins_of_the_server(installation) == {SERVICE}
    async with session(installation.service_dsn) as service:
        await service.execute("SET ROLE NONE")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await service.execute("DROP SCHEMA tallystick CASCADE")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied to set role"):
            await service.execute(f"SET ROLE {OWNER}")


def test_each_login_has_a_password_of_its_own_in_a_file_that_only_its_owner_can_read(
    installation: Installation,
) -> None:
    assert installation.run("migrate").returncode == 0

    files = [installation.data / name for name in PASSWORDS]
    assert len({file.read_text() for file in files}) == len(PASSWORDS)
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}


async def test_a_data_directory_of_an_earlier_version_gets_both_logins_at_the_next_start(
    installation: Installation,
) -> None:
    first = installation.serve()
    code = installation.code_of("ada", first)
    cluster = Cluster(installation.data)
    async with session(cluster.dsn("postgres", "postgres")) as superuser:
        # The state of an earlier version: one login, with the superuser's password.
        await superuser.execute(f"ALTER ROLE {OWNER} PASSWORD '{cluster.password}'")
        await superuser.execute(f"ALTER ROLE {SERVICE} RENAME TO unknown_to_earlier_versions")
    assert first.end() == 0
    for name in PASSWORDS[:2]:
        (installation.data / name).unlink()

    second = installation.serve()

    assert installation.code_of("ada", second) == code
    assert await logins_of_the_server(installation) == {SERVICE}


async def test_a_command_beside_a_server_of_an_earlier_version_says_what_to_do(installation: Installation) -> None:
    installation.serve()
    (installation.data / "service.password").unlink()

    refused = installation.run("check")

    assert refused.returncode == 1
    assert "stop it and start it with this version" in refused.stderr
    assert not (installation.data / "service.password").exists()


def test_one_login_for_everything_is_never_ready_and_says_why(installation: Installation, dsn: str) -> None:
    server = installation.start(**{**on(dsn), "DATABASE_URL": dsn})

    status, reasons = readiness(server.wait_until_listening())

    assert status == 503
    assert [reason.split(",")[0] for reason in reasons] == ["the login of the service owns the schema or the database"]
    assert "TALLYSTICK_SINGLE_LOGIN=accept" in reasons[0]


def test_one_login_is_ready_where_the_operator_accepts_it(installation: Installation, dsn: str) -> None:
    server = installation.start(**{**on(dsn), "DATABASE_URL": dsn}, TALLYSTICK_SINGLE_LOGIN="accept")

    assert readiness(server.wait_until_listening()) == (200, [])


def test_the_login_of_the_service_alone_serves_what_another_migrated(installation: Installation, dsn: str) -> None:
    alone = {name: value for name, value in on(dsn).items() if name != "DATABASE_DIRECT_URL"}

    server = installation.start(**alone)

    assert readiness(server.wait_until_listening()) == (200, [])
    assert installation.run("check", **alone).returncode == 0


def test_it_does_not_migrate_and_says_who_does(installation: Installation, unmigrated_dsn: str) -> None:
    alone = {name: value for name, value in on(unmigrated_dsn).items() if name != "DATABASE_DIRECT_URL"}

    for command in (["serve", "--port", "0"], ["migrate"]):
        refused = installation.run(*command, **alone)

        assert refused.returncode == 1
        assert refused.stderr.startswith("tallystick: migrations are pending, and this login may not apply them")
        assert "DATABASE_DIRECT_URL" in refused.stderr
