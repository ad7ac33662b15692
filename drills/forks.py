"""Servers that are forked from a process that has imported the program.

A start takes some 1.5 s of CPU, most of it imports. A forked server runs the same command in a process of its own, and
listens after a third of that: only so can a hundred servers be killed and started again in a minute or two.
"""

import io
import multiprocessing
import os
import signal
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from tests.processes.installations import until_true
from tests.processes.service import START_SECONDS, clean_environment

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "drills.forks",
        "tallystick.entrypoints.cli.main",
        "tallystick.entrypoints.cli.serve",
        "tallystick.entrypoints.cli.served_database",
        "tallystick.entrypoints.http.internals",
        "tallystick.entrypoints.http.protocol",
        "tallystick.entrypoints.server",
        "tallystick.entrypoints.wiring",
        "uvloop",
    ]
)


class Fork:
    """`tallystick serve` on a port, forked; it ends with the process that asked for it."""

    def __init__(self, port: int, *, folder: Path, environment: dict[str, str]) -> None:
        self._port, self.address = port, f"http://127.0.0.1:{port}"
        self._log = folder / f"server-{port}.log"
        arguments = (port, folder, self._log, clean_environment(environment))
        self._process = _CONTEXT.Process(target=_serve, args=arguments)
        self._process.start()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    @property
    def is_running(self) -> bool:
        return self._process.is_alive()

    @property
    def output(self) -> str:
        """The output of all servers of this port."""
        return self._log.read_text(encoding="utf-8") if self._log.exists() else ""

    def wait_until_ready(self) -> None:
        """Wait until the server says that it is ready; it answers once it has started."""
        until_true(self._is_ready, f"{self.address} does not become ready")

    def _is_ready(self) -> bool:
        try:
            with closing(HTTPConnection("127.0.0.1", self._port, timeout=START_SECONDS)) as connection:
                connection.request("GET", "/readyz")
                return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False

    def send(self, how: signal.Signals) -> None:
        """Send a signal to the process, where it has not ended."""
        if self._process.is_alive():
            with suppress(ProcessLookupError):
                os.kill(self.pid, how)

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        self._process.join(START_SECONDS)
        assert self._process.exitcode is not None, self.output
        return self._process.exitcode

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        self.send(how)
        return self.wait()


def _serve(port: int, folder: Path, log: Path, environment: dict[str, str]) -> None:
    """Become `tallystick serve`: its folder, its environment, its output, its command line."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.FileIO(number, "w"), line_buffering=True) for number in (1, 2))
    from tallystick.entrypoints.cli.main import main  # noqa: PLC0415  the process that asks for forks needs no server

    main(["serve", "--port", str(port)])
