"""PostgreSQL crashes under load: nothing acknowledged is lost, and the service heals without a restart."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import pytest

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import DATABASE, OWNER, provision
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.processes.folders import database_folder
from tests.unit.behaviours.test_http_referrals import code_of
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

CRASHES = 3
WORKERS = 16
HONEST_FAILURES = {"OVERLOADED", "OUTCOME_UNKNOWN"}


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    """Return a server of this test's own, to crash."""
    with database_folder() as folder:
        own = Cluster(folder)
        own.start()
        yield own
        own.stop()


@pytest.fixture
async def dsn(cluster: Cluster) -> str:
    await provision(cluster.dsn("postgres", "postgres"), password=cluster.password, service_password=cluster.password)
    owner = cluster.dsn(OWNER, DATABASE)
    await Migrator(owner, now=lambda: datetime.now(UTC)).apply()
    return owner


@pytest.fixture
async def world(dsn: str) -> AsyncIterator[World]:
    database = Database(service_of(dsn))
    await database.open()
    yield World(PostgresBackend(database))
    await database.close()


class Load:
    """Clients who mint, arrive and remint until they are stopped, and write down what was acknowledged."""

    def __init__(self, instances: tuple[Caller, Caller], inviters_code: str) -> None:
        self._instances, self._inviters_code = instances, inviters_code
        self._stopped = False
        self.codes: dict[str, str] = {}
        self.aliases: dict[str, str] = {}
        self.invited: set[str] = set()
        self.failures: set[str] = set()
        self._rounds = 0
        self._reached = asyncio.Event()
        self._goal = 0

    async def go_on(self, rounds: int) -> None:
        """Let the clients go that many rounds on."""
        self._reached.clear()
        self._goal = self._rounds + rounds
        async with asyncio.timeout(60):
            await self._reached.wait()

    def stop(self) -> None:
        self._stopped = True

    async def run(self, worker: int) -> None:
        instance = self._instances[worker % 2]
        number = 0
        while not self._stopped:
            number += 1
            user = f"user-{worker}-{number}"
            await self._come(instance.named(user), user)
            self._rounds += 1
            if self._rounds >= self._goal:
                self._reached.set()

    async def _come(self, caller: Caller, user: str) -> None:
        link = await caller.get("/api/my-referral-link")
        if self._took(link.status_code, link.json()):
            self.codes[user] = link.json()["referral_code"]
        request = await caller.post("/api/users/upsert", {"referred_by": self._inviters_code})
        if self._took(request.status_code, request.json()):
            assert request.json()["attribution"] in {"recorded", "kept"}
            self.invited.add(user)
        reminted = await caller.post("/api/referral/remint")
        if self._took(reminted.status_code, reminted.json()):
            if user in self.codes:
                self.aliases[self.codes[user]] = user
            self.codes[user] = reminted.json()["referral_code"]

    def _took(self, status: int, answer: dict[str, str]) -> bool:
        if status == 200:
            return True
        assert status == 503, answer
        self.failures.add(answer["code"])
        return False


async def test_nothing_acknowledged_is_lost_and_the_service_heals(cluster: Cluster, dsn: str, world: World) -> None:
    given = settings(database_url=service_of(dsn))
    async with running(given, "postgres") as (first, _), running(given, "postgres") as (second, _):
        load = Load((first, second), await code_of(first, "inviter"))
        clients = [asyncio.create_task(load.run(worker)) for worker in range(WORKERS)]

        for _ in range(CRASHES):
            await load.go_on(50)
            await asyncio.to_thread(cluster.crash)
            await asyncio.to_thread(cluster.revive)
        await load.go_on(50)
        load.stop()
        await asyncio.gather(*clients)
        ready = [(await instance.get("/readyz")).json() for instance in (first, second)]
        after = await code_of(first, "somebody-new")

    assert ready == [{"status": "ready", "reasons": [], "notes": []}] * 2
    assert await world.owner(after) == "somebody-new"
    assert load.failures <= HONEST_FAILURES
    for code, user in load.aliases.items():
        assert await world.owner(code) == user
    for user, code in load.codes.items():
        assert await world.owner(code) == user
    assert {await world.inviter(user) for user in load.invited} == {"inviter"}
    assert await world.broken_promises() == []
