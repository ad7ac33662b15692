"""The server is killed under load, again and again: every acknowledged effect is there, and none is there twice."""

import asyncio
import json
import os
import signal
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator

import pytest

from tallystick.adapters.postgres.database import Database
from tallystick.domain.rewards import RewardId
from tallystick.domain.users import UserId
from tests.http.services import JWT_SECRET
from tests.http.tokens import good_token
from tests.integration.cli.conftest import installed
from tests.integration.races.connections import ConnectionLost, connected
from tests.integration.races.purses import with_credits
from tests.processes.installations import Installation
from tests.processes.service import Process
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

KILLS = 20
ANSWERS_BEFORE_A_KILL = 75
CLIENTS = 16
USERS = [f"user-{number}" for number in range(40)]
REWARDS = 80
HONEST = {"OVERLOADED", "OUTCOME_UNKNOWN", "IDEMPOTENCY_IN_PROGRESS"}

Order = tuple[UserId, RewardId]


@pytest.fixture
def installation() -> Iterator[Installation]:
    with installed({"TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_RATE_LIMITS": "off"}) as installation:
        yield installation


@pytest.fixture
def server(installation: Installation) -> Process:
    """Return the first of the servers."""
    return installation.serve()


@pytest.fixture
async def world(installation: Installation, server: Process) -> AsyncIterator[World]:
    """Return the world that is stored in the installation."""
    database = Database(installation.service_dsn)
    await database.open()
    yield World(PostgresBackend(database))
    await database.close()


class Customers:
    """Clients who buy until everything is theirs, and write down what was acknowledged."""

    def __init__(self, orders: list[Order]) -> None:
        self._waiting = deque(orders)
        self._tokens = {user: f"Bearer {good_token(sub=user)}" for user, _ in orders}
        self.acknowledged: dict[Order, tuple[int, int]] = {}
        """The balance before and after each purchase that was answered."""
        self.lost = 0
        self._answers = 0

    async def go_shopping(self, server: Process, *, until_killed: bool) -> None:
        """Buy from a server until it is killed in the middle of it, or until nothing is left to buy."""
        self._answers = 0
        await asyncio.gather(*(self._buy(server, until_killed=until_killed) for _ in range(CLIENTS)))

    async def _buy(self, server: Process, *, until_killed: bool) -> None:
        try:
            async with connected(server.address) as connection:
                while self._waiting:
                    user, reward = order = self._waiting.popleft()
                    headers = {"authorization": self._tokens[user], "idempotency-key": f"{user}.{reward}"}
                    try:
                        status, body = await connection.post(f"/api/rewards/{reward}/purchase", {}, headers)
                    except ConnectionLost:
                        self.lost += 1
                        self._waiting.append(order)
                        raise
                    if status == 200:
                        self._acknowledge(order, (body["balance_before"], body["balance_after"]))
                    else:
                        assert body["code"] in HONEST, body
                        self._waiting.append(order)
                    self._answers += 1
                    if until_killed and self._answers == ANSWERS_BEFORE_A_KILL:
                        os.kill(server.pid, signal.SIGKILL)
        except ConnectionLost:
            assert until_killed, server.output

    def _acknowledge(self, order: Order, balances: tuple[int, int]) -> None:
        assert self.acknowledged.setdefault(order, balances) == balances


async def test_every_acknowledged_effect_is_there_and_none_is_there_twice(
    installation: Installation, server: Process, world: World
) -> None:
    rewards = [await world.a_reward(cost=3) for _ in range(REWARDS)]
    await with_credits(world, USERS, 3 * REWARDS + 1)
    customers = Customers([(UserId(user), reward.reward_id) for reward in rewards for user in USERS])

    for _ in range(KILLS):
        await customers.go_shopping(server, until_killed=True)
        assert await asyncio.to_thread(server.end, signal.SIGKILL) == -signal.SIGKILL
        server = await asyncio.to_thread(installation.serve)
    at_the_last_kill = dict(customers.acknowledged)
    stored = await purchases(world)
    await customers.go_shopping(server, until_killed=False)

    assert len(at_the_last_kill) < len(USERS) * REWARDS
    assert at_the_last_kill.items() <= stored.items()
    assert customers.lost >= KILLS
    assert customers.acknowledged == await purchases(world)
    assert Counter(user for user, _ in customers.acknowledged) == dict.fromkeys(USERS, REWARDS)
    assert {await world.balance(user) for user in USERS} == {1}
    counted = await asyncio.to_thread(installation.run, "invariants", "--json")
    assert json.loads(counted.stdout)["kept"] is True


async def purchases(world: World) -> dict[Order, tuple[int, int]]:
    """Return the balance before and after each purchase; none of them is there twice."""
    found: dict[Order, tuple[int, int]] = {}
    for user in USERS:
        for entry in await world.entries(user, limit=10 * REWARDS):
            if entry.event_type == "purchase":
                order = (UserId(user), RewardId(entry.event_key))
                assert order not in found
                found[order] = (entry.balance_before, entry.balance_after)
    return found
