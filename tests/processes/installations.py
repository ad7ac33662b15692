"""A folder where the service is installed, what runs in it, and how the outside asks it."""

import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import httpx2
import psutil
from click.testing import CliRunner

from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.logins import stored_logins
from tallystick.adapters.embedded.postmaster import find_postmaster
from tallystick.entrypoints.cli.main import main
from tests.processes.service import START_SECONDS, Process, run

T = TypeVar("T")


class Installation:
    """A folder of its own. Every server that was started in it, and its database, end with it."""

    def __init__(self, folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.data = folder / ".tallystick"
        self._environment = dict(environment or {})
        self._servers: list[Process] = []

    def start(self, *arguments: str, prefix: Sequence[str] = (), **environment: str) -> Process:
        """Start `tallystick serve`, on a free port where none is named; it may not listen yet."""
        given = {**self._environment, **environment}
        server = Process("serve", "--port", "0", *arguments, folder=self.folder, environment=given, prefix=prefix)
        self._servers.append(server)
        return server

    def serve(self, *arguments: str, **environment: str) -> Process:
        """Start `tallystick serve` and wait until it is ready."""
        server = self.start(*arguments, **environment)
        until_ready(server.wait_until_listening())
        return server

    def run(self, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        """Run a command of `tallystick` to its end."""
        return run(*arguments, folder=self.folder, environment={**self._environment, **environment})

    def token(self, subject: str, **environment: str) -> str:
        """Return a token that the command line signed, in this process: it is asked for often."""
        given = {"TALLYSTICK_DATA_DIR": str(self.data), **self._environment, **environment}
        signed = CliRunner().invoke(main, ["token", "--sub", subject], env=given)
        assert signed.exit_code == 0, signed.output
        return signed.stdout.strip()

    def link_of(self, subject: str, server: Process, **environment: str) -> dict[str, Any]:
        """Return the share link of a user, and mint a code where there is none yet."""
        headers = {"authorization": f"Bearer {self.token(subject, **environment)}"}
        answered = until(lambda: answer(server.address, "/api/my-referral-link", headers=headers), "no link")
        link: dict[str, Any] = answered.json()
        return link

    def code_of(self, subject: str, server: Process, **environment: str) -> str:
        """Return the code of a user."""
        return str(self.link_of(subject, server, **environment)["referral_code"])

    @property
    def owner_dsn(self) -> str:
        """The DSN of the embedded database as its owner."""
        return stored_logins(self.data, Cluster(self.data)).owner_url

    @property
    def service_dsn(self) -> str:
        """The DSN of the embedded database as the login of the service."""
        return stored_logins(self.data, Cluster(self.data)).service_url

    @property
    def postmaster(self) -> int | None:
        """The pid of the embedded database; None where none was left."""
        process = find_postmaster(self.data / "postgres")
        return None if process is None else process.pid

    def end(self) -> None:
        for server in self._servers:
            try:
                server.end()
            except subprocess.TimeoutExpired:
                server.end(signal.SIGKILL)
        Cluster(self.data).crash()


def until(found: Callable[[], T | None], why_not: str = "") -> T:
    """Ask again and again until there is an answer, and return it."""
    deadline = time.monotonic() + START_SECONDS
    while (thing := found()) is None:
        assert time.monotonic() < deadline, why_not
        time.sleep(0.05)
    return thing


def until_true(holds: Callable[[], bool], why_not: str = "") -> None:
    """Ask again and again until something holds."""
    until(lambda: True if holds() else None, why_not)


def until_ready(address: str) -> None:
    """Wait until a server says that it is ready."""
    until(lambda: answer(address, "/readyz"), f"{address} does not become ready")


def answer(address: str, path: str, headers: Mapping[str, str] | None = None) -> httpx2.Response | None:
    """Ask on a connection of its own; None where nobody answers, or not with a success."""
    try:
        reply = httpx2.get(f"{address}{path}", headers=dict(headers or {}), trust_env=False)
    except httpx2.TransportError:
        return None
    return reply if reply.is_success else None


def workers_of(server: Process) -> list[psutil.Process]:
    """Return the processes that serve for a server with several of them."""
    children = psutil.Process(server.pid).children()
    return [child for child in children if _is_worker(child)]


@contextmanager
def paused(process: psutil.Process) -> Iterator[None]:
    """Let a process do nothing for a while, so that another one has to."""
    process.suspend()
    until_true(lambda: process.status() == psutil.STATUS_STOPPED)
    yield
    with suppress(psutil.NoSuchProcess):
        process.resume()


def has_ended(process: psutil.Process) -> bool:
    """Return whether a process is gone; one that nobody has taken note of yet is gone too."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def _is_worker(process: psutil.Process) -> bool:
    try:
        return not has_ended(process) and "multiprocessing.spawn" in " ".join(process.cmdline())
    except psutil.Error:
        return False
