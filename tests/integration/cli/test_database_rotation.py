"""Both logins and the token of the metrics rotate as docs/runbooks/rotate-secrets.md says, under traffic."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from urllib.parse import urlsplit

import asyncpg
import httpx2
import pytest

from tallystick.adapters.embedded.provision import OWNER
from tests.http.services import bearer
from tests.integration.cli.conftest import on
from tests.integration.postgres.sessions import Session, login_of, session
from tests.processes.installations import Installation, until_true
from tests.processes.service import Process

OLD, NEW = "the-old-token-of-metrics", "the-new-token-of-metrics"
PASSWORD = "a-new-password"


class Traffic:
    """Writes, reads and scrapes, one after the other, by a balancer that knows which instances serve."""

    def __init__(self) -> None:
        self.scraping_token = OLD
        self.statuses: list[int] = []
        self._serving: list[Process] = []
        self._turn = threading.Lock()
        self._may_ask = threading.Event()
        self._may_ask.set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def add(self, server: Process) -> None:
        self._change(lambda: self._serving.append(server))

    def remove(self, server: Process) -> None:
        """Take an instance out; no request to it is open any more."""
        self._change(lambda: self._serving.remove(server))

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def go_on(self) -> None:
        """Wait until both instances have answered some requests more."""
        enough = len(self.statuses) + 6
        until_true(lambda: len(self.statuses) >= enough or not self._thread.is_alive(), "no traffic")
        assert self._thread.is_alive(), self.statuses

    def _change(self, change: Callable[[], None]) -> None:
        self._may_ask.clear()  # a lock alone could be taken by the next request again and again
        with self._turn:
            change()
        self._may_ask.set()

    def _run(self) -> None:
        number = 0
        while not self._ended.is_set():
            self._may_ask.wait()
            with self._turn:
                number += 1
                server = self._serving[number % len(self._serving)]
                self.statuses.append(self._ask(server, number // len(self._serving)))

    def _ask(self, server: Process, number: int) -> int:
        headers = {"authorization": bearer(f"user-{number}")}
        with httpx2.Client(base_url=server.address, trust_env=False, timeout=30) as http:
            if number % 3 == 0:
                return http.post("/api/users/upsert", json={"username": f"user-{number}"}, headers=headers).status_code
            if number % 3 == 1:
                return http.get("/api/my-referral-link", headers=headers).status_code
            return http.get("/metrics", headers={"authorization": f"Bearer {self.scraping_token}"}).status_code


@pytest.fixture
async def superuser(server: tuple[str, str]) -> AsyncIterator[Session]:
    async with session(server[0]) as connection:
        yield connection


@pytest.fixture
async def logins(superuser: Session) -> AsyncIterator[tuple[str, str]]:
    """Return two logins of the service, of which only the first exists."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    names = f"tallystick_service_a_{worker}", f"tallystick_service_b_{worker}"
    await create(superuser, names[0])
    yield names
    for name in names:
        await superuser.execute(f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
async def owners_password(superuser: Session, dsn: str) -> AsyncIterator[Callable[[str], None]]:
    """Return a function that changes the owner's password; other tests get the one of before."""
    before = urlsplit(dsn).password or ""
    loop = asyncio.get_running_loop()

    async def change(password: str) -> None:
        await superuser.execute(f"ALTER ROLE {OWNER} PASSWORD '{password}'")

    yield lambda password: asyncio.run_coroutine_threadsafe(change(password), loop).result()
    await change(before)


async def create(superuser: Session, name: str) -> None:
    """Create a login of the service, as the runbook says."""
    await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
    await superuser.execute(f"GRANT tallystick_app TO {name}")
    await superuser.execute(f"ALTER ROLE {name} SET role = 'tallystick_app'")


async def test_logins_and_the_metrics_token_rotate_without_a_refused_request(
    installation: Installation,
    dsn: str,
    superuser: Session,
    logins: tuple[str, str],
    owners_password: Callable[[str], None],
) -> None:
    first, second = logins
    before = {"DATABASE_URL": login_of(dsn, first, PASSWORD), "TALLYSTICK_METRICS_TOKEN": OLD}
    after = {
        "DATABASE_URL": login_of(dsn, second, PASSWORD),
        "DATABASE_DIRECT_URL": login_of(dsn, OWNER, PASSWORD),
        "TALLYSTICK_METRICS_TOKEN": f"{OLD} {NEW}",
    }
    settings = {**on(dsn), "TALLYSTICK_RATE_LIMITS": "off"}
    traffic = Traffic()

    def serve(changes: dict[str, str]) -> Process:
        server = installation.serve(**{**settings, **changes})
        traffic.add(server)
        return server

    def replace(instances: list[Process]) -> None:
        """Replace one instance after the other, under traffic."""
        for instance in instances:
            traffic.remove(instance)
            assert instance.end() == 0
            serve(after)
            traffic.go_on()

    try:
        instances = [await asyncio.to_thread(serve, before) for _ in range(2)]
        traffic.start()
        await create(superuser, second)
        await asyncio.to_thread(owners_password, PASSWORD)
        await asyncio.to_thread(traffic.go_on)
        await asyncio.to_thread(replace, instances)
        await superuser.execute(f"DROP ROLE {first}")
        traffic.scraping_token = NEW
        await asyncio.to_thread(traffic.go_on)
    finally:
        traffic.end()

    assert set(traffic.statuses) == {200}
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(before["DATABASE_URL"])
