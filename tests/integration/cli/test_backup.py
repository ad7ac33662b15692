"""`tallystick backup`: one snapshot in a file that is whole or not there."""

import asyncio
import json
import signal
import stat
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from click.testing import CliRunner, Result

from tallystick.adapters.postgres.backups import dumping
from tallystick.adapters.postgres.backups.programs import BackupError
from tallystick.entrypoints.cli import backup as command
from tallystick.entrypoints.cli.embedded import program_folders
from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import on
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import Session, database_name, login_of, session, superuser_of
from tests.processes.service import Process


@pytest.fixture
async def superuser(server: tuple[str, str], dsn: str) -> AsyncIterator[Session]:
    async with session(superuser_of(server, dsn)) as connection:
        yield connection


@pytest.fixture
def above(server: tuple[str, str], dsn: str) -> dict[str, str]:
    """Return the environment in which commands connect as a superuser."""
    return {**on(dsn), "DATABASE_DIRECT_URL": superuser_of(server, dsn)}


def back_up(file: Path, environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(main, ["backup", str(file), *arguments], env=environment)


def left(folder: Path) -> list[str]:
    """Return what is in a folder."""
    return [path.name for path in folder.iterdir()]


def test_a_backup_is_a_file_of_its_owner_alone_and_a_report(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "a.dump"

    done = back_up(file, on(dsn), "--json")

    assert done.exit_code == 0, done.output
    report = json.loads(done.stdout)
    assert report["size_bytes"] == file.stat().st_size > 10_000
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert file.read_bytes()[:5] == b"PGDMP"
    assert database_name(report["database"]) == database_name(dsn)
    assert (report["tables"] > 30, report["newest_migration"] > "0028") == (True, True)
    assert left(tmp_path) == ["a.dump"]


def test_a_file_that_exists_stays_without_force(dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "a.dump"
    file.write_text("of yesterday")

    refused = back_up(file, on(dsn))

    assert (refused.exit_code, file.read_text()) == (2, "of yesterday")
    assert "a.dump exists already" in refused.stderr
    assert back_up(file, on(dsn), "--force").exit_code == 0
    assert file.read_bytes()[:5] == b"PGDMP"


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_an_interrupted_backup_leaves_no_file_and_no_process(
    how: signal.Signals, status: int, above: dict[str, str], dsn: str, superuser: Session, tmp_path: Path
) -> None:
    async with session(dsn) as holder, holder.transaction():
        await holder.execute("LOCK TABLE tallystick.users IN ACCESS EXCLUSIVE MODE")
        running = Process("backup", "a.dump", folder=tmp_path, environment=above)
        children = await until_it_waits(superuser, running)

        # The password is in no argument: every user of the machine can read those.
        assert ["postgres@" in " ".join(child.cmdline()) for child in children] == [True]
        ended = await asyncio.to_thread(running.end, how)

    assert ended == status, running.output
    assert left(tmp_path) == []
    assert [child for child in children if child.is_running()] == []


async def until_it_waits(observer: Session, running: Process) -> list[psutil.Process]:
    """Wait until the program of PostgreSQL waits for a lock, and return the processes that the command started."""
    waits = "SELECT 1 FROM pg_stat_activity WHERE application_name ~ '^tallystick pg_' AND wait_event_type = 'Lock'"
    while not await observer.fetchval(waits):
        assert running.is_running, running.output
        await asyncio.sleep(0.05)
    return psutil.Process(running.pid).children(recursive=True)


def test_the_login_of_the_service_alone_can_back_up(dsn: str, tmp_path: Path) -> None:
    alone = {**on(dsn), "DATABASE_DIRECT_URL": service_of(dsn)}

    assert back_up(tmp_path / "a.dump", alone).exit_code == 0


@pytest.mark.usefixtures("dsn")  # with the logins
def test_a_database_without_the_schema_is_refused(empty_dsn: str, tmp_path: Path) -> None:
    refused = back_up(tmp_path / "a.dump", on(empty_dsn))

    assert refused.exit_code == 1
    assert "the database has no schema tallystick" in refused.stderr
    assert left(tmp_path) == []


@pytest.fixture
async def stranger(superuser: Session, dsn: str) -> AsyncIterator[str]:
    """Return the DSN of a login that is a member of nothing."""
    name = f"stranger_of_{database_name(dsn)}"
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield login_of(dsn, name, "secret")
    await superuser.execute(f"DROP ROLE {name}")


def test_a_login_that_cannot_become_the_service_is_refused(dsn: str, stranger: str, tmp_path: Path) -> None:
    refused = back_up(tmp_path / "a.dump", {**on(dsn), "DATABASE_DIRECT_URL": stranger})

    assert refused.exit_code == 1
    assert "may not see rows of the service" in refused.stderr


async def test_a_backup_waits_for_a_table_for_a_bounded_time(
    dsn: str, superuser: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pg_dump waits: a table that is locked before that stops the checks in front of it in the same way."""
    monkeypatch.setattr(dumping, "_LOCK_TIMEOUT", "200ms")
    dump = await dumping.prepare_dump(dsn, program_folders())
    with (tmp_path / "a.dump").open("wb") as file:
        async with superuser.transaction(), asyncio.timeout(20):
            await superuser.execute("LOCK TABLE tallystick.users IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(BackupError, match="due to statement timeout"):
                await asyncio.to_thread(dump.write, file, lambda _: None)


@pytest.fixture(
    params=[
        "CREATE POLICY none_of_ada ON tallystick.users AS RESTRICTIVE USING (user_id <> 'ada')",
        "ALTER POLICY users_service ON tallystick.users USING (user_id <> 'ada')",
    ],
    ids=["one more policy", "the policy of the service"],
)
async def with_a_filter(superuser: Session, request: pytest.FixtureRequest) -> None:
    await superuser.execute(request.param)


@pytest.mark.usefixtures("with_a_filter")
def test_a_login_that_does_not_see_every_row_is_refused(dsn: str, above: dict[str, str], tmp_path: Path) -> None:
    refused = back_up(tmp_path / "a.dump", on(dsn))

    assert refused.exit_code == 1
    assert "may not see the rows of users, and a backup by it would lack them" in refused.stderr
    assert left(tmp_path) == []
    assert back_up(tmp_path / "a.dump", above).exit_code == 0


@pytest.fixture
async def with_a_table(superuser: Session) -> None:
    await superuser.execute("CREATE TABLE tallystick.of_the_operator (id bigint)")


@pytest.mark.usefixtures("with_a_table")
def test_a_table_that_the_service_may_not_read_is_named(dsn: str, tmp_path: Path) -> None:
    refused = back_up(tmp_path / "a.dump", on(dsn))

    assert refused.exit_code == 1
    assert "may not see the rows of of_the_operator" in refused.stderr


@pytest.fixture
async def with_a_sequence(superuser: Session) -> None:
    await superuser.execute("CREATE SEQUENCE tallystick.of_the_operator")


@pytest.mark.usefixtures("with_a_sequence")
def test_a_backup_that_fails_says_why_and_leaves_no_file(dsn: str, tmp_path: Path) -> None:
    """A sequence that the role may not read is found by pg_dump alone."""
    failed = back_up(tmp_path / "a.dump", on(dsn))

    assert failed.exit_code == 1
    assert failed.stderr.splitlines()[-1].startswith("tallystick: pg_dump failed: ")
    assert "of_the_operator" in failed.stderr
    assert left(tmp_path) == []


def test_a_pg_dump_of_another_version_is_refused_with_the_package_that_fits(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "bin" / "pg_dump"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 14.9'\n")
    old.chmod(0o755)
    monkeypatch.setattr(command, "program_folders", lambda: [tmp_path / "nowhere", old.parent])

    refused = back_up(tmp_path / "a.dump", on(dsn))

    assert refused.exit_code == 1
    assert f"needs pg_dump of that version ({old} is of 14): install it" in refused.stderr
    assert left(tmp_path) == ["bin"]
