"""`tallystick restore`: all of a backup or nothing, into a database without the schema, and the proof of it."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx2
import msgspec
import pytest
from click.testing import CliRunner, Result

from tallystick.adapters.embedded.cluster import Cluster, binaries
from tallystick.adapters.embedded.provision import OWNER, SERVICE
from tallystick.adapters.postgres.backups import archive, restoring
from tallystick.adapters.postgres.backups.archive import named_roles
from tallystick.domain.channels import ChannelId
from tallystick.entrypoints.cli import restore as command
from tallystick.entrypoints.cli.main import main
from tests.http.services import bearer
from tests.http.socket_streams import Reading, open_stream
from tests.integration.cli.conftest import installed, on
from tests.integration.cli.test_backup import until_it_waits
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import database_name, pool_on, session, superuser_of
from tests.processes.folders import database_folder
from tests.processes.installations import Installation
from tests.processes.service import Process
from tests.worlds.postgres import PostgresBackend
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

SOUND = [("migrations", "ok"), ("contract", "ok"), ("invariants", "ok")]


@pytest.fixture(scope="module")
def bare() -> Iterator[Cluster]:
    """Return a server that has neither roles nor databases of ours."""
    with database_folder() as folder:
        cluster = Cluster(folder)
        try:
            cluster.start()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def file(dsn: str, tmp_path: Path) -> Path:
    """Return a backup of the fresh database."""
    return backed_up(dsn, tmp_path / "a.dump")


def backed_up(dsn: str, file: Path) -> Path:
    done = CliRunner().invoke(main, ["backup", str(file)], env=on(dsn))
    assert done.exit_code == 0, done.output
    return file


def restored(file: Path, into: str, *arguments: str) -> Result:
    """Restore as a person does who said yes; the settings of the environment are those of an embedded database."""
    return CliRunner().invoke(main, ["restore", str(file), "--into", into, "--yes", *arguments], env={})


def verdicts(done: Result) -> list[tuple[str, str]]:
    return [(row["check"], row["state"]) for row in json.loads(done.stdout)["checks"]]


async def has_schema(dsn: str) -> bool:
    async with session(dsn) as connection:
        return bool(await connection.fetchval("SELECT to_regnamespace('tallystick') IS NOT NULL"))


async def test_a_backup_under_traffic_is_one_snapshot(
    dsn: str, empty_dsn: str, tmp_path: Path, server: tuple[str, str]
) -> None:
    """Users, codes, edges and points of one sign-up are in the backup together or not at all."""
    async with pool_on(service_of(dsn)) as database:
        world = World(PostgresBackend(database))
        world.make_referrals_worth(10)
        code = await world.mint("inviter")
        signed_up, ended = 0, False

        async def sign_up() -> None:
            nonlocal signed_up
            while not ended:
                await world.arrive(f"friend-{signed_up}", code)
                signed_up += 1

        traffic = asyncio.create_task(sign_up())
        command = Process("backup", "a.dump", folder=tmp_path, environment=on(dsn))
        assert await asyncio.to_thread(command.wait) == 0, command.output
        ended = True
        await traffic
        assert signed_up > 10

    command = Process(
        *("restore", "a.dump", "--into", empty_dsn, "--yes", "--verify", "--json"), folder=tmp_path, environment={}
    )
    assert await asyncio.to_thread(command.wait) == 0, command.output
    async with session(superuser_of(server, empty_dsn)) as superuser:
        copied = await superuser.fetchrow(
            "SELECT (SELECT count(*) FROM tallystick.referral_edges) AS edges, "
            "(SELECT count(*) FROM tallystick.ledger_entries) AS entries, "
            "(SELECT referrals FROM tallystick.users WHERE user_id = 'inviter') AS referrals"
        )
    assert copied is not None
    assert 0 < copied["edges"] < signed_up
    assert copied["edges"] == copied["referrals"] == copied["entries"]
    assert '"invariants",\n      "state": "ok"' in command.output


def test_a_restored_service_serves_and_resets_streams_that_are_ahead(dsn: str, empty_dsn: str, tmp_path: Path) -> None:
    channel, code = asyncio.run(a_channel_and_a_code(dsn))
    file = backed_up(dsn, tmp_path / "a.dump")
    ahead = asyncio.run(one_more_message(dsn, channel))
    with installed(on(dsn)) as before:
        seen = asyncio.run(last_id(before.serve(), channel, ahead))
    assert restored(file, empty_dsn).exit_code == 0
    with installed(on(empty_dsn)) as after:
        server = after.serve()

        assert after.code_of("ada", server) == code
        assert asyncio.run(head_of_reset(server, channel, seen)) == ahead - 1
        assert roster_version(server) == 1


async def a_channel_and_a_code(dsn: str) -> tuple[ChannelId, str]:
    async with pool_on(service_of(dsn)) as database:
        world = World(PostgresBackend(database))
        return await Rooms(world).a_channel("ada"), await world.mint("ada")


async def one_more_message(dsn: str, channel: ChannelId) -> int:
    """Send a message that the backup lacks, and return its number."""
    async with pool_on(service_of(dsn)) as database:
        rooms = Rooms(World(PostgresBackend(database)))
        await rooms.send(channel, "ada")
        return (await rooms.events(channel))[-1].seq


async def last_id(server: Process, channel: ChannelId, seq: int) -> str:
    """Return the id of an event as a client of a stream got it."""
    stream = await open_stream(server.address, Reading("ada", channel), "0")
    await stream.until_seq(seq)
    stream.close()
    return stream.last_id


async def head_of_reset(server: Process, channel: ChannelId, resume: str) -> int:
    """Return the head that the first event of a resumed stream names, which has to be a reset."""
    stream = await open_stream(server.address, Reading("ada", channel), resume)
    head = (await stream.until("reset"))["head"]
    stream.close()
    return int(head)


def roster_version(server: Process) -> int:
    """Sync a roster, and return its version."""
    roster = {
        "room_id": "match-1",
        "roster_version": 0,
        "slots": [{"role": "captain", "slot": 1, "player_id": "ada"}],
        "rules": {"roles": {"captain": {"slots": 1}}},
    }
    headers = {"authorization": bearer("ada", "rooms:manage")}
    answered = httpx2.post(f"{server.address}/api/rank/stage-room-match", json=roster, headers=headers, trust_env=False)
    assert answered.status_code == 200, answered.text
    return int(answered.json()["roster_version"])


def test_a_restore_is_proved_and_names_its_database(file: Path, empty_dsn: str) -> None:
    done = restored(file, empty_dsn, "--verify", "--json")

    assert (done.exit_code, verdicts(done)) == (0, SOUND), done.output
    assert database_name(json.loads(done.stdout)["database"]) == database_name(empty_dsn)


def test_a_restore_asks_first(file: Path, empty_dsn: str) -> None:
    asked = CliRunner().invoke(main, ["restore", str(file), "--into", empty_dsn], env={})

    assert asked.exit_code == 2
    assert "add --yes" in asked.stderr
    assert not asyncio.run(has_schema(empty_dsn))


def test_a_database_that_is_not_empty_is_refused(file: Path, dsn: str) -> None:
    refused = restored(file, dsn)

    assert refused.exit_code == 1
    assert "the database has a schema tallystick already" in refused.stderr


@pytest.mark.parametrize("content", [b"", b"PGDMP", b"of yesterday" * 100])
def test_a_file_that_is_no_backup_is_refused(content: bytes, empty_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "a.dump"
    file.write_bytes(content)

    refused = restored(file, empty_dsn)

    assert refused.exit_code == 1
    assert "pg_restore cannot read the file" in refused.stderr


def test_a_restore_that_fails_half_way_leaves_the_database_empty(file: Path, empty_dsn: str, tmp_path: Path) -> None:
    """The table of contents is at the start of the file: only the rows at its end are missing."""
    half = tmp_path / "half.dump"
    half.write_bytes(file.read_bytes()[:-200])

    failed = restored(half, empty_dsn)

    assert failed.exit_code == 1
    assert "pg_restore failed: could not read from input file" in failed.stderr
    assert "nothing was restored: the database is as empty as before" in failed.stderr
    assert not asyncio.run(has_schema(empty_dsn))
    assert restored(file, empty_dsn).exit_code == 0


async def test_an_interrupted_restore_leaves_the_database_empty(
    file: Path, empty_dsn: str, server: tuple[str, str]
) -> None:
    async with session(superuser_of(server, empty_dsn)) as holder, session(server[0]) as observer:
        transaction = holder.transaction()
        await transaction.start()
        await holder.execute("CREATE SCHEMA tallystick")  # nobody sees it, and the restore waits for its end
        arguments = ("restore", str(file), "--into", empty_dsn, "--yes")
        running = Process(*arguments, folder=file.parent, environment={})
        children = await until_it_waits(observer, running)
        ended = await asyncio.to_thread(running.end, signal.SIGTERM)
        await transaction.rollback()

    assert ended == 143, running.output
    assert [child for child in children if child.is_running()] == []
    assert not await has_schema(empty_dsn)


def test_a_pg_restore_of_another_version_is_refused(
    file: Path, empty_dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "program_folders", lambda: [tmp_path])

    refused = restored(file, empty_dsn)

    assert refused.exit_code == 1
    assert "needs pg_restore of that version (none was found)" in refused.stderr


def test_a_backup_of_a_newer_server_is_refused(file: Path, empty_dsn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of one version alone are installed here: the version in the file is replaced."""
    read = archive.read_archive
    monkeypatch.setattr(
        restoring, "read_archive", lambda *given: msgspec.structs.replace(read(*given), server_major=99)
    )

    refused = restored(file, empty_dsn)

    assert refused.exit_code == 1
    assert "the backup is of PostgreSQL 99, and this server is of " in refused.stderr


def test_a_login_that_may_not_create_a_schema_is_refused(file: Path, empty_dsn: str) -> None:
    refused = restored(file, service_of(empty_dsn))

    assert refused.exit_code == 1
    assert f"the login {SERVICE} may not create a schema: GRANT CREATE ON DATABASE to it" in refused.stderr


def test_an_archive_of_something_else_is_refused(dsn: str, empty_dsn: str, tmp_path: Path) -> None:
    file = tmp_path / "other.dump"
    command_line = [str(binaries() / "pg_dump"), "--format=custom", f"--file={file}", "--schema=tallystick"]
    subprocess.run([*command_line, "--exclude-table=*.schema_migrations", "--schema-only", dsn], check=True)

    refused = restored(file, empty_dsn)

    assert refused.exit_code == 1
    assert "is an archive of pg_dump, and not one that 'tallystick backup' wrote" in refused.stderr


async def statements(dsn: str, *sql: str) -> None:
    async with session(dsn) as connection:
        for statement in sql:
            await connection.execute(statement)


def test_roles_that_are_missing_are_created_or_named(file: Path, bare: Cluster) -> None:
    """Migrations create three roles, and so does a restore; a login needs a password, which only an operator has."""
    superuser = bare.dsn("postgres", "postgres")

    refused = restored(file, superuser)

    assert refused.exit_code == 1
    assert f"the server lacks roles that the backup names: {OWNER}. Create them" in refused.stderr
    assert f'CREATE ROLE "{OWNER}" LOGIN NOINHERIT;' in refused.stderr
    asyncio.run(statements(superuser, f"CREATE ROLE {OWNER} LOGIN NOINHERIT PASSWORD 'secret'"))
    asyncio.run(statements(superuser, f"GRANT CREATE ON DATABASE postgres TO {OWNER}"))
    without_power = restored(file, bare.dsn(OWNER, "postgres", "secret"))
    assert without_power.exit_code == 1
    assert "the server lacks roles that the backup names: anon, authenticated, tallystick_app" in without_power.stderr
    done = restored(file, superuser, "--verify", "--json")
    assert (done.exit_code, verdicts(done)) == (0, SOUND), done.output
    assert json.loads(done.stdout)["created_roles"] == ["anon", "authenticated", "tallystick_app"]
    asyncio.run(the_owner_can_work(superuser))


async def the_owner_can_work(superuser: str) -> None:
    async with session(superuser) as connection:
        owners = await connection.fetch(
            "SELECT DISTINCT pg_get_userbyid(relowner)::text AS owner FROM pg_class "
            "WHERE relnamespace = 'tallystick'::regnamespace"
        )
        assert [row["owner"] for row in owners] == [OWNER]
        assert await connection.fetchval(f"SELECT pg_has_role('{OWNER}', 'tallystick_app', 'SET')")


@pytest.fixture
async def creating_service(empty_dsn: str) -> str:
    """Return the DSN of the service's login, which may create a schema there, and owns nothing."""
    await statements(empty_dsn, f'GRANT CREATE ON DATABASE "{database_name(empty_dsn)}" TO {SERVICE}')
    return service_of(empty_dsn)


def test_a_login_that_could_not_own_the_objects_is_refused(file: Path, creating_service: str) -> None:
    refused = restored(file, creating_service)

    assert refused.exit_code == 1
    assert f"the backup belongs to the role {OWNER}" in refused.stderr


def test_the_embedded_database_has_the_same_commands(installation: Installation, tmp_path: Path) -> None:
    file, code = tmp_path / "a.dump", installation.code_of("ada", installation.serve())
    beside = CliRunner().invoke(main, ["backup", str(file)], env={"TALLYSTICK_DATA_DIR": str(installation.data)})
    assert beside.exit_code == 0, beside.output
    with installed({}) as other:
        into = {"TALLYSTICK_DATA_DIR": str(other.data)}
        done = CliRunner().invoke(main, ["restore", str(file), "--yes", "--verify"], env=into)

        assert done.exit_code == 0, done.output
        assert done.stdout.startswith(f"restored into the embedded database in {other.data}\n")
        assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [["ok", check] for check, _ in SOUND]
        assert other.code_of("ada", other.serve()) == code


def test_the_roles_of_a_script_are_those_of_owners_grants_and_policies() -> None:
    script = """
ALTER TABLE tallystick.users OWNER TO tallystick;
ALTER SCHEMA tallystick OWNER TO "the owner";
GRANT SELECT,INSERT ON TABLE tallystick.users TO tallystick_app;
GRANT UPDATE(email) ON TABLE tallystick.users TO "a ""quoted"" one" WITH GRANT OPTION;
REVOKE ALL ON TABLE tallystick.users FROM PUBLIC;
CREATE POLICY p ON tallystick.users FOR SELECT TO one, "two, three" USING (true);
CREATE POLICY q ON tallystick.users AS RESTRICTIVE TO four WITH CHECK (true);
"""

    assert named_roles(script) == {
        *("tallystick", "the owner", "tallystick_app", 'a "quoted" one', "one", "two, three", "four")
    }
