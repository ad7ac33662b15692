"""What an operator learns of a 503: its cause in the log line and in a metric; the caller does not learn it."""

import io
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapters.telemetry.logs import configure
from tests.integration.conftest import service_of, with_database
from tests.integration.postgres.sessions import database_name, login_of, session
from tests.services import Caller, running, settings
from tests.worlds import World

NOWHERE = "postgresql://nobody:hunter2@127.0.0.1:1/nothing"


@asynccontextmanager
async def logged(dsn: str) -> AsyncIterator[tuple[Caller, io.StringIO]]:
    """Run the service on a database, and return a caller and what it logs."""
    lines = io.StringIO()
    async with running(settings(database_url=dsn), "postgres") as (anyone, _):
        configure("info", lines)
        yield anyone, lines


def requests_of(lines: io.StringIO) -> list[dict[str, Any]]:
    told = [json.loads(line) for line in lines.getvalue().splitlines()]
    return [line for line in told if line["event"] == "request"]


async def count_of(anyone: Caller, cause: str) -> float:
    metrics = (await anyone.get("/metrics")).text
    (line,) = [line for line in metrics.splitlines() if f'unavailable_replies_total{{cause="{cause}"}}' in line]
    return float(line.split()[-1])


async def refused(dsn: str) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Return the problem that a write is answered with, how often its cause was counted, and its log line."""
    async with logged(dsn) as (anyone, lines):
        reply = await anyone.named("ada").post("/api/users/upsert", {"username": "ada"})
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


async def test_readiness_tells_callers_the_reason_and_operators_the_servers_words(owner_dsn: str) -> None:
    async with logged(login_of(owner_dsn, "nobody", "hunter2")) as (anyone, lines):
        reply = await anyone.get("/readyz")

        assert (reply.status_code, reply.json()["reasons"]) == (503, ["the database cannot be reached"])
        assert 'password authentication failed for user \\"nobody\\" (SQLSTATE 28P01)' in lines.getvalue()
        assert "check the user and the password" in lines.getvalue()
        assert "hunter2" not in lines.getvalue()
