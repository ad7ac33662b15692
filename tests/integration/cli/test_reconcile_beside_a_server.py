"""`tallystick reconcile invites --apply` while a server gives seats away."""

import asyncio
import json

import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import DATABASE
from tests.http.services import JWT_SECRET
from tests.http.tokens import good_token
from tests.integration.postgres.sessions import session
from tests.integration.races.connections import connected
from tests.processes.installations import Installation

INVITES = 10
WRONG = (
    "INSERT INTO tallystick.invites (code, invite_id, owner_id, max_uses, current_uses, created_at) "
    f"SELECT 'CODE' || n, 'invite ' || n, 'owner', 1000, 7, now() FROM generate_series(0, {INVITES - 1}) AS n"
)
RIGHT = (
    "SELECT bool_and(current_uses = (SELECT count(*) FROM tallystick.invite_uses AS u WHERE u.invite_id = i.invite_id))"
    " FROM tallystick.invites AS i"
)


@pytest.fixture
def environment() -> dict[str, str]:
    return {"TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_RATE_LIMITS": "off"}


async def test_seats_that_are_taken_meanwhile_are_counted_too(
    installation: Installation, environment: dict[str, str]
) -> None:
    server = await asyncio.to_thread(lambda: installation.serve(**environment))
    postmaster = installation.postmaster
    repaired = asyncio.Event()
    statuses: list[int] = []

    async def redeem(client: int) -> None:
        async with connected(server.address) as connection:
            turn = 0
            while not repaired.is_set() or turn < 2 * INVITES:
                headers = {"authorization": f"Bearer {good_token(sub=f'user-{client}-{turn}')}"}
                body = {"code": f"CODE{turn % INVITES}"}
                statuses.append((await connection.post("/api/invites/redeem", body, headers)).status)
                turn += 1

    async with session(Cluster(installation.data).dsn("postgres", DATABASE)) as superuser:
        await superuser.execute(WRONG)
        clients = [asyncio.create_task(redeem(client)) for client in range(4)]
        run = await asyncio.to_thread(
            lambda: installation.run("reconcile", "invites", "--apply", "--json", **environment)
        )
        repaired.set()
        await asyncio.gather(*clients)
        is_right = await superuser.fetchval(RIGHT)

    assert run.returncode == 0, run.stderr
    assert len(json.loads(run.stdout)["items"]) == INVITES
    assert set(statuses) == {200}
    assert is_right
    assert installation.postmaster == postmaster
