"""The testbed of a drill: a real PostgreSQL, servers in front of it, and clients; all of it ends with the drill."""

import asyncio
import atexit
import os
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from types import MappingProxyType

import httpx2

from drills.checker import differences
from drills.clients import Clients
from drills.forks import Fork
from drills.journal import Journal
from drills.report import DrillResult
from drills.scripts import INVITER, MERCHANT, ON_OFFER, PRICE, SCRIPTS, TALKER, ScriptName, Scripts, Stock
from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import DATABASE, OWNER, SERVICE, provision
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, Caller
from tests.processes.folders import database_folder
from tests.processes.installations import until_ready
from tests.processes.service import Process
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

WARM = 200
"""How many requests succeed before a drill begins: every script has run by then."""
SETTINGS = {
    "TALLYSTICK_JWT_SECRET": JWT_SECRET,
    "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    "TALLYSTICK_RATE_LIMITS": "off",
    "TALLYSTICK_PUBLIC_BASE_URL": "https://go.example.org",
    "TALLYSTICK_REWARD_OFFERS": "anyone",
}


class Testbed:
    """A database of the drill's own and the servers that use it."""

    def __init__(self, folder: Path, cluster: Cluster, environment: Mapping[str, str]) -> None:
        self.folder, self.cluster = folder, cluster
        self.servers: list[Process | Fork] = []
        self.database_url = cluster.dsn(SERVICE, DATABASE)
        """How servers that are started from now on connect; a drill may put a pooler or a wire in between."""
        self._environment = {**SETTINGS, **environment}

    @property
    def owner_dsn(self) -> str:
        return self.cluster.dsn(OWNER, DATABASE)

    @property
    def superuser_dsn(self) -> str:
        return self.cluster.dsn("postgres", DATABASE)

    def addresses(self) -> list[str]:
        """Return where the servers listen, or listened."""
        return [server.address for server in self.servers if server.address]

    async def start(self, *arguments: str, place: int | None = None, port: int = 0, **environment: str) -> Process:
        """Start a server and wait until it is ready; `place` names the server that it takes the place of.

        A server that takes a place listens on the port of the one before it.
        """
        server = self.launch(*arguments, place=place, port=port, **environment)
        await asyncio.to_thread(server.wait_until_listening)
        await asyncio.to_thread(until_ready, server.address)
        return server

    def launch(self, *arguments: str, place: int | None = None, port: int = 0, **environment: str) -> Process:
        """Start a server, and do not wait for it."""
        chosen = str(port) if place is None else self.servers[place].address.rpartition(":")[2]
        given = self.settings(**environment)
        server = Process("serve", "--port", chosen, *arguments, folder=self.folder, environment=given)
        if place is None:
            self.servers.append(server)
        else:
            self.servers[place] = server
        return server

    def settings(self, **environment: str) -> dict[str, str]:
        """Return the environment of a server."""
        given = {**self._environment, "DATABASE_URL": self.database_url, **_compiled_once()}
        return {**given, **environment}

    async def stock(self) -> Stock:
        """Store what has to be there before the clients begin."""
        async with httpx2.AsyncClient(base_url=self.addresses()[0], trust_env=False) as http:
            anyone = Caller(http)
            merchant, talker = anyone.named(MERCHANT), anyone.named(TALKER)
            offered = [await merchant.post("/api/rewards", {"name": "a thing", "cost": PRICE}) for _ in range(ON_OFFER)]
            code = (await anyone.named(INVITER).get("/api/my-referral-link")).json()["referral_code"]
            channel = (await talker.post("/api/channels", {"name": "the drill"})).json()["channel_id"]
        return Stock([reward.json()["reward_id"] for reward in offered], code, channel)

    async def broken_promises(self) -> list[str]:
        """Return the invariants of the service that do not hold."""
        database = Database(self.cluster.dsn(SERVICE, DATABASE))
        await database.open()
        try:
            broken = await World(PostgresBackend(database)).broken_promises()
        finally:
            await database.close()
        return [f"the promise {promise.name} is broken {promise.violations} times" for promise in broken]

    async def close(self) -> None:
        """End every server, by force where it does not end, and the database."""
        for server in self.servers:
            with suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGCONT)
            await asyncio.to_thread(server.end, signal.SIGKILL)
        self.cluster.stop()


class Traffic:
    """The clients of a testbed, and the times that a drill shows."""

    def __init__(self, clients: Clients) -> None:
        self.clients = clients
        self.journal = clients.journal
        self.differences: list[str] = []
        """The findings of the checker, as soon as the clients have ended."""

    async def seconds_until_healthy(self, successes: int = 50) -> float:
        """Return how long it took from now until so many requests succeeded."""
        began = time.monotonic()
        await self.clients.until_successes(successes)
        return time.monotonic() - began

    def expect_answers(self) -> None:
        """Note a difference where a client saw anything but successes and refusals by a rule."""
        expected = ("2", "402", "409", "410")
        unexpected = {name: count for name, count in self.journal.seen.items() if not name.startswith(expected)}
        if unexpected:
            self.differences.append(f"clients saw {unexpected}")

    def shown(self, healthy_seconds: float, *notes: str) -> DrillResult:
        """Return what the clients saw since the journal began; the checker adds its differences at the end."""
        seen, slowest = self.journal.seen.copy(), self.journal.slowest_seconds
        return DrillResult(seen, slowest, healthy_seconds, self.differences, notes)


@asynccontextmanager
async def new_testbed(
    *,
    servers: int = 1,
    folder: Path | None = None,
    options: Mapping[str, str] = MappingProxyType({}),
    prepare: Callable[[Path], None] = lambda _: None,
    **environment: str,
) -> AsyncIterator[Testbed]:
    """Make a database, with options of PostgreSQL, and start that many servers.

    `prepare` gets the folder of the database before it is started.
    """
    with _place(folder) as place:
        cluster = Cluster(place, options=dict(options))
        await asyncio.to_thread(_copy, await _migrated(), place)
        prepare(place / "postgres")
        await asyncio.to_thread(cluster.start)
        testbed = Testbed(place, cluster, environment)
        try:
            await asyncio.gather(*(testbed.start() for _ in range(servers)))
            yield testbed
        finally:
            await testbed.close()


@asynccontextmanager
async def under_load(
    testbed: Testbed,
    addresses: Callable[[], Sequence[str]] | None = None,
    trust: ssl.SSLContext | None = None,
    scripts: Sequence[ScriptName] = SCRIPTS,
    *,
    is_strict: bool = False,
) -> AsyncIterator[Traffic]:
    """Let the clients run for as long as it takes; at the end they stop, ask again, and the checker looks twice.

    It looks before the clients ask again for what they do not know, and after it, when nothing is unknown.
    """
    clients = Clients(addresses or testbed.addresses, Journal(is_strict=is_strict), trust)
    running = asyncio.create_task(Scripts(clients, await testbed.stock(), scripts).run())
    try:
        await clients.until_successes(WARM)
        clients.journal.begin()
        traffic = Traffic(clients)
        yield traffic
        clients.stop()
        if clients.journal.surprises:  # the drill has failed: nobody has to wait for the rest
            running.cancel()
        await asyncio.gather(running, return_exceptions=bool(clients.journal.surprises))
        traffic.differences += [*clients.journal.surprises, *await differences(testbed.superuser_dsn, clients.journal)]
        if not traffic.differences:
            await clients.resend_unresolved()
            resolved = await differences(testbed.superuser_dsn, clients.journal)
            traffic.differences += [*clients.journal.surprises, *resolved, *await testbed.broken_promises()]
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await clients.close()


@contextmanager
def _place(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        yield folder
        return
    with database_folder() as own:
        yield own


@cache
def _compiled_once() -> dict[str, str]:
    """Let servers share compiled modules: to compile them takes half of the CPU of a start."""
    folder = tempfile.mkdtemp(prefix="tallystick-drills-compiled-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": folder}


_MIGRATED: list[Path] = []
_MAKING = asyncio.Lock()


async def _migrated() -> Path:
    """Return a folder with a migrated database that was stopped; it is made once and copied for every drill."""
    async with _MAKING:
        if not _MIGRATED:
            folder = Path(tempfile.mkdtemp(prefix="tallystick-drills-"))
            atexit.register(shutil.rmtree, folder, ignore_errors=True)
            cluster = Cluster(folder)
            await asyncio.to_thread(cluster.start)
            try:
                superuser, password = cluster.dsn("postgres", "postgres"), cluster.password
                await provision(superuser, password=password, service_password=password)
                await Migrator(cluster.dsn(OWNER, DATABASE), now=lambda: datetime.now(UTC)).apply()
            finally:
                cluster.stop()
            _MIGRATED.append(folder)
    return _MIGRATED[0]


def _copy(source: Path, target: Path) -> None:
    """Copy a database with the owners of its files, which PostgreSQL insists on."""
    subprocess.run(["cp", "-a", f"{source}/.", str(target)], check=True)
