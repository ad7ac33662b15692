"""The cause of a 503 is in the log line and in a metric for the operator; the caller does not learn it."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from dishka import Provider

from tallystick.adapters.postgres.database import Database, PoolSettings
from tallystick.adapters.telemetry.logs import configure
from tests.http.replacements import pooled
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of, with_database
from tests.integration.postgres.sessions import database_name, login_of, session, superuser_of
from tests.worlds.world import World

NOWHERE = "postgresql://nobody:hunter2@127.0.0.1:1/nothing"


IMPATIENT = PoolSettings(size=2, acquire_seconds=0.05, lock_seconds=0.05)
WRITE = ("POST", "/api/users/upsert", {"username": "ada"})
READ = ("GET", "/api/credits", None)
NO_SPACE = """
CREATE FUNCTION tallystick.no_space() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION USING ERRCODE = '53100', MESSAGE = 'could not extend file: No space left on device';
END $$;
CREATE TRIGGER no_space BEFORE INSERT ON tallystick.users FOR EACH STATEMENT EXECUTE FUNCTION tallystick.no_space();
"""
"""The error of a full disk, raised by a trigger: only a mount of its own could really fill up."""


@asynccontextmanager
async def logged(dsn: str, *replacements: Provider) -> AsyncIterator[tuple[Caller, io.StringIO]]:
    """Run the service on a database, and return a caller and what it logs."""
    lines = io.StringIO()
    async with running(settings(database_url=dsn), "postgres", *replacements) as (anyone, _):
        configure("info", lines)
        yield anyone, lines


def requests_of(lines: io.StringIO) -> list[dict[str, Any]]:
    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in logged if line["event"] == "request"]


async def count_of(anyone: Caller, cause: str) -> float:
    metrics = (await anyone.get("/metrics")).text
    (line,) = [line for line in metrics.splitlines() if f'unavailable_replies_total{{cause="{cause}"}}' in line]
    return float(line.split()[-1])


async def refused(
    dsn: str, *replacements: Provider, request: tuple[str, str, object] = WRITE
) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Return the problem that a request is answered with, how often its cause was counted, and its log line."""
    method, path, body = request
    async with logged(dsn, *replacements) as (anyone, lines):
        reply = await anyone.named("ada").call(method, path, body=body)
        assert reply.status_code == 503
        (line,) = requests_of(lines)
        counted = await count_of(anyone, line["cause"])
        assert "hunter2" not in lines.getvalue()
    return reply.json(), counted, line


async def test_a_database_that_is_read_only(owner_dsn: str, world: World) -> None:
    async with session(owner_dsn) as owner:
        name = database_name(owner_dsn)
        await owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            problem, counted, line = await refused(service_of(owner_dsn))
        finally:
            await owner.execute("SET default_transaction_read_only = off")
            await owner.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')

    assert (line["cause"], line["sqlstate"], line["code"]) == ("read_only", "25006", "OVERLOADED")
    assert counted == 1
    assert "25006" not in json.dumps(problem)
    assert "cause" not in problem


async def test_reads_are_answered_while_the_database_is_read_only(owner_dsn: str, world: World) -> None:
    code = await world.mint("ada")
    async with session(owner_dsn) as owner:
        name = database_name(owner_dsn)
        await owner.execute(f'ALTER DATABASE "{name}" SET default_transaction_read_only = on')
        try:
            async with logged(service_of(owner_dsn)) as (anyone, _):
                ada = anyone.named("ada")
                probes = [await anyone.get(path) for path in ("/readyz", "/readyz?for=reads")]
                asked = [f"/api/referral/resolve?code={code}", "/r/" + code]
                read = [await anyone.get(path) for path in asked]
                own = [await ada.get(path) for path in ("/api/my-referral-link", "/api/me", "/api/credits/entries")]
                written = await ada.call(*WRITE[:2], body=WRITE[2])
        finally:
            await owner.execute("SET default_transaction_read_only = off")
            await owner.execute(f'ALTER DATABASE "{name}" RESET default_transaction_read_only')

    assert [probe.status_code for probe in probes] == [503, 200]
    assert probes[0].json()["reasons"] == ["the database is read-only"]
    assert [reply.status_code for reply in read] == [200, 302]
    assert [reply.status_code for reply in own] == [200, 200, 200]
    assert written.status_code == 503


@pytest.mark.parametrize(
    ("place", "cause", "state"),
    [("nowhere", "unreachable", None), ("wrong password", "login", "28P01"), ("no database", "login", "3D000")],
)
async def test_a_database_that_cannot_be_entered(place: str, cause: str, state: str | None, owner_dsn: str) -> None:
    dsn = {
        "nowhere": NOWHERE,
        "wrong password": login_of(owner_dsn, "nobody", "hunter2"),
        "no database": with_database(service_of(owner_dsn), "lost"),
    }[place]

    problem, counted, line = await refused(dsn)

    assert (line["cause"], line.get("sqlstate")) == (cause, state)
    assert counted == 1
    assert problem["code"] == "OVERLOADED"


@pytest.fixture
async def impatient(owner_dsn: str, world: World) -> AsyncIterator[Database]:
    """Return a pool of two connections that waits for nothing, on an empty database."""
    database = Database(service_of(owner_dsn), IMPATIENT)
    await database.open()
    yield database
    await database.close()


@pytest.mark.parametrize(
    ("call", "held"),
    [
        (WRITE, "SELECT user_id FROM tallystick.users WHERE user_id = 'ada' FOR UPDATE"),
        (READ, "LOCK TABLE tallystick.ledger_accounts IN ACCESS EXCLUSIVE MODE"),
    ],
    ids=["a row", "a table"],
)
async def test_a_lock_that_somebody_else_holds(
    call: tuple[str, str, object], held: str, impatient: Database, server: tuple[str, str]
) -> None:
    async with running(settings(database_url=impatient.dsn), "postgres") as (anyone, _):
        assert (await anyone.named("ada").call(*WRITE[:2], body=WRITE[2])).is_success
    async with session(superuser_of(server, impatient.dsn)) as holder, holder.transaction():
        await holder.execute(held)

        problem, counted, line = await refused(impatient.dsn, pooled(impatient), request=call)

    assert (line["cause"], line["sqlstate"], line["code"]) == ("lock", "55P03", "OVERLOADED")
    assert counted == 1
    assert problem["code"] == "OVERLOADED"


@pytest.mark.parametrize("call", [WRITE, READ], ids=["a write", "a read"])
async def test_a_pool_whose_connections_are_all_in_use(call: tuple[str, str, object], impatient: Database) -> None:
    async with impatient.connection(), impatient.connection():
        problem, counted, line = await refused(impatient.dsn, pooled(impatient), request=call)

    assert (line["cause"], line.get("sqlstate"), line["code"]) == ("pool", None, "OVERLOADED")
    assert counted == 1
    assert problem["code"] == "OVERLOADED"


async def test_a_disk_that_is_full(dsn: str) -> None:
    async with session(dsn) as owner:
        await owner.execute(NO_SPACE)

    problem, counted, line = await refused(service_of(dsn))

    assert (line["cause"], line["sqlstate"], line["code"]) == ("disk_full", "53100", "OVERLOADED")
    assert counted == 1
    assert "No space left" not in json.dumps(problem)


async def test_readiness_gives_callers_the_reason_and_operators_the_servers_words(owner_dsn: str) -> None:
    async with logged(login_of(owner_dsn, "nobody", "hunter2")) as (anyone, lines):
        reply = await anyone.get("/readyz")

        assert (reply.status_code, reply.json()["reasons"]) == (503, ["the database cannot be reached"])
        assert 'password authentication failed for user \\"nobody\\" (SQLSTATE 28P01)' in lines.getvalue()
        assert "check the user and the password" in lines.getvalue()
        assert "hunter2" not in lines.getvalue()
