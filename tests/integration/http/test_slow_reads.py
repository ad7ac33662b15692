"""Slow reads by a real server: they run one at a time beside the pool, and nobody else waits for them."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import httpx2
import pytest

from tests.http.services import Caller
from tests.integration.cli.conftest import installed, on
from tests.integration.conftest import with_database
from tests.integration.postgres.sessions import Session, database_name, session

WAITING = """
SELECT count(*) FROM pg_stat_clear_snapshot(), pg_stat_activity WHERE datname = $1 AND wait_event_type = 'Lock'
"""
"""Anew each time: within a transaction the server shows what it showed first."""


@pytest.fixture
def address(owner_dsn: str) -> Iterator[str]:
    """Return where a server with the smallest pool listens."""
    with installed({**on(owner_dsn), "TALLYSTICK_POOL_SIZE": "2"}) as installation:
        yield installation.serve().address


@pytest.fixture
async def superuser(owner_dsn: str, server: tuple[str, str]) -> AsyncIterator[Session]:
    async with session(with_database(server[0], database_name(owner_dsn))) as connection:
        yield connection


async def test_twenty_counts_at_once_are_one_and_the_pool_is_free_meanwhile(
    address: str, superuser: Session, owner_dsn: str
) -> None:
    async with asyncio.timeout(60), httpx2.AsyncClient(base_url=address, trust_env=False, timeout=60) as http:
        anyone = Caller(http)
        staff, ada = anyone.named("staff", "admin:read"), anyone.named("ada")
        locked = superuser.transaction()
        await locked.start()
        await superuser.execute("LOCK TABLE tallystick.invites IN ACCESS EXCLUSIVE MODE")
        counts = [asyncio.create_task(staff.get("/api/admin/invariants")) for _ in range(20)]
        while not (waiting := await superuser.fetchval(WAITING, database_name(owner_dsn))):  # noqa: ASYNC110  the server does not tell
            await asyncio.sleep(0.01)

        written = [await ada.post("/api/users/upsert", {}) for _ in range(20)]
        waiting = max(waiting, await superuser.fetchval(WAITING, database_name(owner_dsn)))
        await locked.rollback()

        assert {answer.status_code for answer in written} == {200}
        assert waiting == 1
        assert {answer.status_code for answer in await asyncio.gather(*counts)} == {200}
