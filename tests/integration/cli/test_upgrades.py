"""Upgrades from every released version while clients send requests, and the ways back, behind HAProxy."""

import asyncio
import json
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tallystick.domain.usernames import username_key
from tests.integration.balancers import Balancer, balancing
from tests.integration.cli.conftest import on
from tests.integration.postgres.sessions import session
from tests.integration.upgrade_traffic import Traffic, stored
from tests.processes.installations import answer, until_ready
from tests.processes.next_version import next_version
from tests.processes.releases import THIS, Version, archive_of, released, unpacked
from tests.processes.service import Process, run

CHECK_INTERVAL, DRAIN_DELAY = "200ms", {"TALLYSTICK_DRAIN_DELAY_SECONDS": "3"}
OF_EVERY_VERSION = {"TALLYSTICK_RATE_LIMITS": "off", "TALLYSTICK_TRUSTED_PROXIES": "127.0.0.1"}


class Fleet:
    """Servers of several versions on one database, behind a balancer, and the clients in front of it."""

    def __init__(self, balancer: Balancer, folder: Path, environment: Mapping[str, str]) -> None:
        self.balancer, self.traffic = balancer, Traffic(balancer)
        self._folder, self._environment = folder, {**environment, **OF_EVERY_VERSION}
        self.servers: dict[str, Process] = {}

    async def start(self, name: str, version: Version, **environment: str) -> Process:
        """Start a server and wait until clients are sent to it."""
        server = self.servers[name] = Process(
            *("serve", "--port", str(self.balancer.instances[name])),
            folder=self._folder,
            environment={**self._environment, **environment, **version.environment},
            program=version.program,
        )
        with self.traffic.slowly():
            await asyncio.to_thread(lambda: until_ready(server.wait_until_listening()))
        await asyncio.to_thread(self.balancer.wait_until, name, "UP")
        return server

    async def replace(self, name: str, version: Version) -> Process:
        """End a server by its drain, and start another version in its place."""
        self.servers[name].send(signal.SIGTERM)
        await asyncio.to_thread(self.balancer.wait_until, name, "DOWN")
        assert await asyncio.to_thread(self.servers[name].wait) == 0, self.servers[name].output
        return await self.start(name, version, **DRAIN_DELAY)

    def switch(self, *, to: tuple[str, str], off: tuple[str, str]) -> None:
        """Give two servers to the clients, and take two from them, which go on with what they have begun."""
        for names, state in ((to, "ready"), (off, "drain")):
            for name in names:
                assert self.balancer.command(f"set server tallystick/{name} state {state}") == ""

    async def run(self, version: Version, *arguments: str) -> str:
        """Run a command of a version to its end, and return what it printed."""
        given = {**self._environment, **version.environment}
        done = await asyncio.to_thread(run, *arguments, folder=self._folder, environment=given, program=version.program)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    async def agrees(self) -> None:
        """Let the clients complete their requests, and compare each answer with the database."""
        await self.traffic.end()
        journal = self.traffic.journal
        assert not journal.failures, f"{len(journal.failures)} failures: {journal.failures[:9]}"
        found = await stored(self._environment["DATABASE_DIRECT_URL"])
        assert found == journal.acknowledged
        assert not journal.refused & found.keys()
        assert json.loads(await self.run(THIS, "invariants", "--json"))["kept"] is True

    def end(self) -> None:
        """End every server at once."""
        for server in self.servers.values():
            server.end(signal.SIGKILL)


@asynccontextmanager
async def fleet_on(dsn: str, folder: Path, *added: str) -> AsyncIterator[Fleet]:
    """Run a balancer without servers; the servers that are started end at the end."""
    with balancing(CHECK_INTERVAL, added) as balancer:
        fleet = Fleet(balancer, folder, on(dsn))
        try:
            yield fleet
        finally:
            await fleet.traffic.stop()
            fleet.end()


async def test_from_0_1_0_beside_its_servers_and_back(unmigrated_dsn: str, tmp_path: Path) -> None:
    released_one = unpacked(archive_of("0.1.0"), tmp_path / "0.1.0")
    old, new = ("first", "second"), ("third", "fourth")
    async with fleet_on(unmigrated_dsn, tmp_path, *new) as fleet:
        one_login = {"DATABASE_URL": unmigrated_dsn}
        await asyncio.gather(*(fleet.start(name, released_one, **one_login) for name in old))
        await fleet.traffic.begin()
        await fleet.traffic.flows()

        for name in old:
            assert fleet.balancer.command(f"disable health tallystick/{name}") == ""
        await fleet.run(THIS, "migrate")
        assert answer(fleet.servers["first"].address, "/readyz") is None, "0.1.0 compares numbers"
        await fleet.traffic.flows()
        await asyncio.gather(*(fleet.start(name, THIS) for name in new))
        await fleet.traffic.flows()
        fleet.switch(to=new, off=old)
        await fleet.traffic.flows()
        fleet.switch(to=old, off=new)
        await fleet.traffic.flows()
        fleet.switch(to=new, off=old)
        await fleet.traffic.flows()
        for name in old:
            assert await asyncio.to_thread(fleet.servers[name].end) == 0
        assert "names_of_older_servers" in await fleet.run(THIS, "migrate", "--after")
        await fleet.traffic.flows()

        await fleet.agrees()
    async with session(unmigrated_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        rows = await owner.fetch("SELECT username, username_key FROM tallystick.users")
    keys = {row["username"]: row["username_key"] for row in rows}
    assert keys == {name: name and username_key(name) for name in keys}


@pytest.mark.parametrize("version", [*(version for version in released() if version != "0.1.0"), "this"])
async def test_one_by_one_to_the_next_version_and_back(unmigrated_dsn: str, tmp_path: Path, version: str) -> None:
    if version == "this":
        old, new = THIS, next_version(tmp_path)
    else:
        old, new = unpacked(archive_of(version), tmp_path / "old"), THIS
    async with fleet_on(unmigrated_dsn, tmp_path) as fleet:
        await asyncio.gather(*(fleet.start(name, old, **DRAIN_DELAY) for name in ("first", "second")))
        await fleet.traffic.begin()
        await fleet.traffic.flows()

        await fleet.run(new, "migrate")
        await fleet.traffic.flows()
        await fleet.replace("first", new)
        await fleet.traffic.flows()
        await fleet.replace("second", new)
        await fleet.traffic.flows()
        await fleet.replace("first", old)
        await fleet.traffic.flows()

        await fleet.agrees()
