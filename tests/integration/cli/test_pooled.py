"""Every command and the server, behind PgBouncer in transaction mode."""

import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tallystick.adapters.embedded.provision import SERVICE
from tallystick.adapters.postgres.connecting import NotThere, Unreachable, reach
from tests.commands import EVERY
from tests.integration.cli.conftest import installed, on
from tests.integration.poolers import Pooler, pooling
from tests.integration.postgres.sessions import Session, database_name, session, superuser_of
from tests.processes.installations import Installation
from tests.worlds.moving import a_user


@pytest.fixture(scope="module")
def pooler(server: tuple[str, str]) -> Iterator[Pooler]:
    with pooling(*server) as pooler:
        yield pooler


@pytest.fixture
def pooled(pooler: Pooler, dsn: str) -> Iterator[Installation]:
    """Return an installation whose service goes through the pooler, and whose owner goes past it."""
    through = {"DATABASE_URL": pooler.dsn(SERVICE, database_name(dsn)), "TALLYSTICK_CACHE_STATEMENTS": "off"}
    with installed({**on(dsn), **through}) as installation:
        yield installation


def test_the_server_serves_and_is_ready(pooled: Installation) -> None:
    server = pooled.serve()

    code = pooled.code_of("ada", server)

    assert pooled.code_of("ada", server) == code
    assert server.end() == 0


def test_every_command_works(pooled: Installation, tmp_path: Path, empty_dsn: str) -> None:
    source = tmp_path / "users.jsonl"
    source.write_text("".join(json.dumps(a_user(name, f"CODE{name.upper()}")) + "\n" for name in ("ada", "ben")))

    left = set(EVERY) - {"serve", "token", "openapi"}  # the server is started below; a token asks no database

    def ran(*arguments: str) -> str:
        longest = max((name for name in EVERY if [*name.split()] == [*arguments[: len(name.split())]]), key=len)
        left.discard(longest)
        done = pooled.run(*arguments)
        assert done.returncode == 0, (arguments, done.stdout, done.stderr)
        return done.stdout

    ran("migrate")
    ran("migrate", "--check")
    ran("check")
    planned = json.loads(ran("backfill", "plan", "--source", str(source), "--json"))
    plan = planned["plan_hash"]
    for word in ("apply", "verify", "status"):
        ran("backfill", word, "--plan", plan, *(["--yes"] if word == "apply" else []))
    ran("backfill", "rollback", "--plan", plan, "--yes")
    ran("invariants")
    ran("runbook", "invite-counter")
    ran("flags")
    ran("flags", "set", "points_enabled", "on")
    ran("export", "codes", "--output", str(tmp_path / "codes.jsonl"))
    ran("backup", str(tmp_path / "a.dump"))
    ran("restore", str(tmp_path / "a.dump"), "--into", empty_dsn, "--yes", "--verify")
    ran("reconcile", "invites")
    ran("reconcile", "metadata")
    server = pooled.serve()
    pooled.code_of("eve", server)
    ran("probe", server.address)
    ran("users", "attempts", "eve", "--code", "AB12-CD34")
    ran("users", "show", "eve")
    ran("freeze", "eve")
    ran("thaw", "eve")
    ran("users", "delete", "eve", "--yes")
    assert server.end() == 0
    assert left == set(), "a new command needs a row in this test"


PAST_THE_POOLER = {
    *("migrate", "freeze", "thaw", "reconcile invites", "backup", "restore", "runbook"),
    *(f"backfill {word}" for word in ("plan", "apply", "verify", "rollback", "status")),
}
"""Commands of the schema's owner, or with locks and temporary tables of a session: they need DATABASE_DIRECT_URL."""
OF_THE_SERVICE = {
    "check": [],
    "invariants": [],
    "flags": [],
    "flags set": ["points_enabled", "on"],
    "export": ["codes"],
    "reconcile metadata": ["--apply"],
    "users attempts": ["ada"],
    "users show": ["ada"],
    "users delete": ["ada", "--yes"],
}


@pytest.fixture
async def superuser(server: tuple[str, str], dsn: str) -> AsyncIterator[Session]:
    async with session(superuser_of(server, dsn)) as connection:
        yield connection


async def test_commands_of_the_service_work_through_the_pooler_alone(
    pooler: Pooler, dsn: str, superuser: Session
) -> None:
    """An operator who has no way past the pooler sets DATABASE_URL alone."""
    environment = {name: value for name, value in on(dsn).items() if name != "DATABASE_DIRECT_URL"}
    through = {"DATABASE_URL": pooler.dsn(SERVICE, database_name(dsn)), "TALLYSTICK_CACHE_STATEMENTS": "off"}
    assert set(OF_THE_SERVICE) == set(EVERY) - PAST_THE_POOLER - {"serve", "token", "probe", "openapi"}

    await superuser.execute("INSERT INTO tallystick.users (user_id, created_at) VALUES ('ada', now())")

    with installed({**environment, **through}) as installation:
        ran = {name: installation.run(*name.split(), *more) for name, more in OF_THE_SERVICE.items()}

    said = {name: done.stdout + done.stderr for name, done in ran.items() if done.returncode != 0}
    assert said == {}


async def test_time_outs_that_the_pooler_drops_are_found_by_check(pooled: Installation, superuser: Session) -> None:
    """The settings of the login stand in for startup parameters that the pooler ignores: here they are taken away."""
    await superuser.execute(f"ALTER ROLE {SERVICE} RESET ALL")
    await superuser.execute(f"ALTER ROLE {SERVICE} SET role = 'tallystick_app'")
    try:
        checked = pooled.run("check", "--json")
    finally:
        await superuser.execute(f"ALTER ROLE {SERVICE} SET statement_timeout = '5000'")

    assert checked.returncode == 1
    (reason,) = json.loads(checked.stdout)["reasons"]
    assert "statement_timeout is 0 and not 5000" in reason
    assert "lock_timeout is 0 and not 1500" in reason


def test_cached_statements_that_the_pooler_loses_are_found_by_check_and_stop_the_start(
    server: tuple[str, str], dsn: str
) -> None:
    """A pooler that no connection went through yet answers the first statements as if all were well."""
    for command in (["check"], ["serve", "--port", "0"]):
        with pooling(*server) as pooler, installed(on(dsn)) as installation:
            through = {"DATABASE_URL": pooler.dsn(SERVICE, database_name(dsn)), "TALLYSTICK_CACHE_STATEMENTS": "on"}

            refused = installation.run(*command, **through)

        said = " ".join((refused.stdout + refused.stderr).split())
        assert refused.returncode == 1, said
        assert "prepared statement" in said
        assert "set TALLYSTICK_CACHE_STATEMENTS=off" in said


def test_a_pooler_that_refuses_a_parameter_is_quoted_and_the_setting_is_named(
    server: tuple[str, str], dsn: str
) -> None:
    with pooling(*server, ignore_startup_parameters="role, search_path") as pooler, installed({}) as installation:
        through = {**on(dsn), "DATABASE_URL": pooler.dsn(SERVICE, database_name(dsn))}

        refused = [installation.run(*command, **through) for command in (["check"], ["serve", "--port", "0"])]
        alone = {name: value for name, value in through.items() if name != "DATABASE_DIRECT_URL"}
        refused.append(installation.run("flags", **{**alone, "DATABASE_URL": pooler.dsn(SERVICE, database_name(dsn))}))

    for ran in refused:
        said = ran.stdout + ran.stderr
        assert ran.returncode == 1, said
        assert "unsupported startup parameter" in said
        assert "ignore_startup_parameters = role, search_path, jit" in said


async def test_a_pooler_that_does_not_reach_its_database_may_reach_it_later(server: tuple[str, str]) -> None:
    nowhere = "postgresql://postgres@/tally?host=/nowhere"
    with (
        pooling(nowhere, server[1], query_wait_timeout="1") as pooler,
        pytest.raises(NotThere, match="PgBouncer"),
    ):
        await reach(pooler.dsn(SERVICE, "tally"), name="test")


async def test_a_password_that_the_pooler_refuses_stays_refused(pooler: Pooler, dsn: str) -> None:
    login = pooler.dsn(SERVICE, database_name(dsn)).replace(f"{SERVICE}:", f"{SERVICE}:not-")

    with pytest.raises(Unreachable, match="check the user and the password") as refused:
        await reach(login, name="test")

    assert refused.type is Unreachable
