"""Exports of many rows by a real server: in constant memory, as fast as they are read, and never cut unnoticed."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator

import httpx2
import psutil
import pytest

from tests.http.services import bearer
from tests.integration.cli.conftest import installed, on
from tests.integration.conftest import NewDatabase, with_database
from tests.integration.postgres.sessions import Session, database_name, session
from tests.processes.installations import until_true
from tests.processes.service import Process

ROWS = 200_000
BOUND_BYTES = 30 * 1024 * 1024
FILLING = f"""
INSERT INTO users (user_id, created_at)
SELECT 'user' || to_char(n, 'FM000000'), now() FROM generate_series(0, {ROWS}) AS n;
INSERT INTO referral_edges (invitee_id, inviter_id, arrival_id, created_at)
SELECT 'user' || to_char(n, 'FM000000'), 'user000000', gen_random_uuid(), now() FROM generate_series(1, {ROWS}) AS n;
UPDATE users SET referrals = {ROWS} WHERE user_id = 'user000000';
INSERT INTO users (user_id, created_at) VALUES ('zoe', now());
"""
LATE = "INSERT INTO referral_edges VALUES ('zoe', 'user000000', NULL, gen_random_uuid(), now())"


@pytest.fixture(scope="module")
async def many(new_database: NewDatabase) -> str:
    """Return the owner's DSN of a database with many edges."""
    return await new_database()


@pytest.fixture(scope="module")
async def superuser(many: str, server: tuple[str, str]) -> AsyncIterator[Session]:
    async with session(with_database(server[0], database_name(many))) as connection:
        await connection.execute("SET search_path = tallystick")
        await connection.execute(FILLING)
        yield connection


@pytest.fixture(scope="module")
def process(many: str, superuser: Session) -> Iterator[Process]:
    """Return a server on the database."""
    with installed({**on(many), "TALLYSTICK_POOL_SIZE": "2"}) as installation:
        yield installation.serve()


@pytest.fixture
async def http(process: Process) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": bearer("exporter", "admin:export")}
    async with httpx2.AsyncClient(base_url=process.address, headers=headers, timeout=60) as client:
        yield client


@pytest.mark.parametrize("form", ["jsonl", "csv"])
async def test_memory_does_not_grow_with_the_rows(http: httpx2.AsyncClient, process: Process, form: str) -> None:
    server = psutil.Process(process.pid)
    await http.get("/api/admin/export/codes")
    before = most = server.memory_info().rss
    lines = 0

    async with http.stream("GET", f"/api/admin/export/edges?format={form}") as answer:
        async for chunk in answer.aiter_bytes():
            lines += chunk.count(b"\n")
            most = max(most, server.memory_info().rss)

    assert lines >= ROWS
    assert most - before < BOUND_BYTES


async def test_the_first_byte_arrives_before_the_last_row_is_read(http: httpx2.AsyncClient, superuser: Session) -> None:
    text = b""
    async with http.stream("GET", "/api/admin/export/edges") as answer:
        chunks = answer.aiter_bytes()
        text += await anext(chunks)
        await superuser.execute(LATE)
        async for chunk in chunks:
            text += chunk

    invitees = [json.loads(line)["invitee_id"] for line in text.splitlines()]
    assert invitees == [*(f"user{number:06}" for number in range(1, ROWS + 1)), "zoe"]


async def test_while_an_export_waits_for_its_reader_it_holds_nothing(
    http: httpx2.AsyncClient, superuser: Session, many: str
) -> None:
    busy = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = 'tallystick' "
        "AND (state <> 'idle' OR backend_xmin IS NOT NULL)"
    )
    async with asyncio.timeout(60), http.stream("GET", "/api/admin/export/edges") as answer:
        await anext(answer.aiter_bytes())
        # It goes on until what lies between the two is full.
        while await superuser.fetchval(busy, database_name(many)):  # noqa: ASYNC110  the server does not tell
            await asyncio.sleep(0.05)
        exports = [http.stream("GET", "/api/admin/export/edges") for _ in range(4)]
        opened = [await each.__aenter__() for each in exports]
        assert [each.status_code for each in opened] == [200] * 4
        for each in exports:
            await each.__aexit__(None, None, None)


async def test_an_export_that_fails_in_the_middle_does_not_look_whole(
    http: httpx2.AsyncClient, superuser: Session, process: Process
) -> None:
    with pytest.raises(httpx2.RemoteProtocolError):
        async with http.stream("GET", "/api/admin/export/edges") as answer:
            assert answer.status_code == 200
            chunks = answer.aiter_bytes()
            await anext(chunks)
            await superuser.execute("REVOKE SELECT ON referral_edges FROM tallystick_app")
            try:
                async for _ in chunks:
                    pass
            finally:
                await superuser.execute("GRANT SELECT ON referral_edges TO tallystick_app")

    until_true(lambda: "InsufficientPrivilegeError" in process.output, "no log line says why")
    assert (await http.get("/api/admin/export/codes")).status_code == 200


async def test_an_export_that_cannot_begin_is_refused_as_everything_else(
    http: httpx2.AsyncClient, superuser: Session
) -> None:
    await superuser.execute("REVOKE SELECT ON referral_edges FROM tallystick_app")
    try:
        refused = await http.get("/api/admin/export/edges")
    finally:
        await superuser.execute("GRANT SELECT ON referral_edges TO tallystick_app")

    assert (refused.status_code, refused.json()["code"]) == (503, "OVERLOADED")


async def test_a_client_that_hangs_up_ends_the_export(http: httpx2.AsyncClient, process: Process) -> None:
    before = exports_that_ended(process)
    async with http.stream("GET", "/api/admin/export/edges") as answer:
        await anext(answer.aiter_bytes())

    until_true(lambda: exports_that_ended(process) > before, "it goes on")
    assert (await http.get("/api/admin/export/codes")).status_code == 200


def exports_that_ended(process: Process) -> float:
    """Return how many exports the server has measured from their beginning to their end."""
    lines = httpx2.get(f"{process.address}/metrics").text.splitlines()
    return sum(
        float(line.rpartition(" ")[2])
        for line in lines
        if line.startswith("tallystick_http_request_seconds_count") and "/api/admin/export/" in line
    )
