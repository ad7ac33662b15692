"""One invite that everybody wants: 10,000 users on 64 connections to two servers, each a process of its own."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.http.tokens import good_token
from tests.integration.cli.conftest import installed, on
from tests.integration.races.connections import connected
from tests.processes.installations import Installation
from tests.worlds.world import World

USERS = 10_000
SEATS = 100_000
CONNECTIONS = 64


@pytest.fixture
def installation(owner_dsn: str) -> Iterator[Installation]:
    with installed({**on(owner_dsn), "TALLYSTICK_RATE_LIMITS": "off"}) as installation:
        yield installation


async def test_everybody_gets_a_seat_and_nobody_an_error(installation: Installation, world: World) -> None:
    invite = await world.an_invite(max_uses=SEATS)
    servers = await asyncio.gather(*(asyncio.to_thread(installation.serve) for _ in range(2)))
    users = iter(range(USERS))
    counts: Counter[tuple[int, str]] = Counter()
    remaining: list[int] = []

    async def redeem(number: int) -> None:
        async with connected(servers[number % 2].address) as connection:
            for user in users:  # each connection takes the next one who waits
                headers = {"authorization": f"Bearer {good_token(sub=f'user-{user}')}"}
                status, body = await connection.post("/api/invites/redeem", {"code": invite.code}, headers)
                counts[status, str(body.get("code"))] += 1
                remaining.append(body.get("remaining", -1))

    await asyncio.gather(*(redeem(number) for number in range(CONNECTIONS)))

    assert counts == {(200, invite.code): USERS}
    assert sorted(remaining) == list(range(SEATS - USERS, SEATS))
    assert (await world.invite(invite)).current_uses == USERS
    assert len(await world.seats(invite, limit=USERS + 1)) == USERS
    assert await world.broken_promises() == []
