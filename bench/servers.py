"""The servers under measurement: started as a user would, observed from outside, ended by their process ids."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psutil

ROOT = Path(__file__).resolve().parents[1]
PROGRAM = Path(sys.executable).parent / "tallystick"
_LIMITED_GROUPS = ("resolver", "sign_up", "webhook", "award", "send", "stream", "read", "write")
_START_SECONDS = 240.0
_STOP_SECONDS = 30.0
_POLL_SECONDS = 0.02
_LISTENS = re.compile(r"listens on (http://\S+)")


class ServerFailed(Exception):
    """A server did not start; the message has its output."""


class Server(NamedTuple):
    """A running server: its address and its processes."""

    address: str
    process: psutil.Process
    workers: int = 1
    """Several workers are children of the process, and are counted with it."""

    @property
    def host(self) -> str:
        return urlsplit(self.address).hostname or ""

    @property
    def port(self) -> int:
        return urlsplit(self.address).port or 0

    def cpu_seconds(self) -> float:
        """Return the processor time that the server has used; its database is another process."""
        times = [process.cpu_times() for process in self._processes()]
        return sum(each.user + each.system for each in times)

    def resident_megabytes(self) -> float:
        """Return the server's resident memory; pages that processes share are counted for each of them."""
        return sum(process.memory_info().rss for process in self._processes()) / 1_000_000

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *(self.process.children(recursive=True) if self.workers > 1 else [])]


def clean_environment() -> dict[str, str]:
    """Return our environment without the variables that configure the service."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TALLYSTICK_", "DATABASE_")) and name != "PROMETHEUS_MULTIPROC_DIR"
    }


@contextmanager
def tallystick(
    folder: Path, *, jwt_secret: str, webhook_secret: str, database_url: str | None = None, workers: int = 1
) -> Iterator[Server]:
    """Run the service, on its embedded database if no other one is given.

    Rate limits are counted, but are too high to be reached.
    """
    environment = clean_environment() | {
        "TALLYSTICK_JWT_SECRET": jwt_secret,
        "TALLYSTICK_WEBHOOK_SECRETS": webhook_secret,
        "TALLYSTICK_RATE_LIMITS": "; ".join(f"{group}=100000000/minute" for group in _LIMITED_GROUPS),
    }
    if database_url is not None:
        environment["DATABASE_URL"] = database_url
    command = [str(PROGRAM), "serve", "--port", "0", "--workers", str(workers)]
    with running(command, folder, environment) as server:
        _wait_until_healthy(server)
        yield server._replace(workers=workers)


@contextmanager
def framework(folder: Path) -> Iterator[Server]:
    """Run the framework's empty route."""
    with running([sys.executable, "-m", "bench.empty"], folder, {**os.environ, "PYTHONPATH": str(ROOT)}) as server:
        yield server


@contextmanager
def running(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[Server]:
    """Run a server that prints its address; ServerFailed with its output if it does not."""
    folder.mkdir(parents=True)
    log = folder / "server.log"
    if not Path(command[0]).exists():
        raise ServerFailed(f"{command[0]} is missing: run `make install`")
    with log.open("wb") as output:
        # A session of its own, so that Ctrl-C reaches only us and we end the server in order.
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    try:
        yield _started(process, log)
    finally:
        _end(process)


def _started(process: "subprocess.Popen[bytes]", log: Path) -> Server:
    """Return the server as soon as it accepts connections, which may be later than its output says."""
    deadline = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        found = _LISTENS.search(_printed(log))
        if found is not None:
            server = Server(found[1], psutil.Process(process.pid))
            with suppress(ConnectionRefusedError), socket.create_connection((server.host, server.port), timeout=1):
                return server
        time.sleep(_POLL_SECONDS)
    raise ServerFailed(f"a server did not start: {_printed(log).strip() or 'it printed nothing'}")


def _wait_until_healthy(server: Server) -> None:
    """Wait for the first answer: connections are queued from the beginning, before a worker has started."""
    with closing(HTTPConnection(server.host, server.port, timeout=_START_SECONDS)) as connection:
        try:
            connection.request("GET", "/healthz")
            connection.getresponse().read()
        except (OSError, HTTPException) as error:
            raise ServerFailed(f"a server does not answer: {error}") from None


def _printed(log: Path) -> str:
    return log.read_text(encoding="utf-8", errors="replace")


def _end(process: "subprocess.Popen[bytes]") -> None:
    """End a server and its children: in order, and by force if that takes too long."""
    try:
        children = psutil.Process(process.pid).children(recursive=True)
    except psutil.NoSuchProcess:
        children = []
    process.terminate()
    try:
        process.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for child in psutil.wait_procs(children, timeout=1)[1]:
        child.kill()
