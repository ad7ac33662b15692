"""The service as a user runs it: a process of its own, found by what it prints and ended by its id."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

PROGRAM = Path(sys.executable).parent / "tallystick"
START_SECONDS = 60.0
IN_THE_BACKGROUND = (
    sys.executable,
    "-c",
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); os.execv(sys.argv[1], sys.argv[1:])",
)
"""The beginning of a command that runs as a script's `command &` does: it ignores Ctrl-C unless it handles it."""
_LISTENS = re.compile(r"listens on (http://\S+)")


class Process:
    """`tallystick` with some arguments, in a folder and an environment of its own."""

    def __init__(
        self,
        *arguments: str,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
        program: Sequence[str] = (str(PROGRAM),),
    ) -> None:
        self._lines: list[str] = []
        self._listening = threading.Event()
        self.address = ""
        self._process = subprocess.Popen(
            [*prefix, *program, *arguments],
            cwd=folder,
            env=clean_environment(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            found = _LISTENS.search(line)
            if found is not None:
                self.address = found[1]
                self._listening.set()
        self._listening.set()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Return whether it has not ended."""
        return self._process.poll() is None

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def wait_until_listening(self) -> str:
        """Return the address of the server; if it does not listen, raise an error with its output."""
        assert self._listening.wait(START_SECONDS), self.output
        assert self.address, self.output
        return self.address

    def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit status."""
        self.send(how)
        return self.wait()

    def send(self, how: signal.Signals) -> None:
        """Send a signal to the process, where it has not ended."""
        if self._process.poll() is None:
            os.kill(self._process.pid, how)

    def wait(self) -> int:
        """Wait for the end, and return the exit status."""
        status = self._process.wait(START_SECONDS)
        self._reader.join(START_SECONDS)
        if self._process.stdout is not None:
            self._process.stdout.close()
        return status


def run(
    *arguments: str,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    program: Sequence[str] = (str(PROGRAM),),
) -> "subprocess.CompletedProcess[str]":
    """Run a command of `tallystick` to its end."""
    return subprocess.run(
        [*program, *arguments],
        cwd=folder,
        env=clean_environment(environment),
        capture_output=True,
        text=True,
        timeout=START_SECONDS,
        check=False,
    )


def clean_environment(environment: Mapping[str, str] | None) -> dict[str, str]:
    """Return this environment without the service's own settings, and with the given ones."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("TALLYSTICK_", "DATABASE_")) and name != "PROMETHEUS_MULTIPROC_DIR"
    }
    return {**kept, **(environment or {})}


def obey_interrupts() -> None:
    """Take Ctrl-C, also where a shell started the tests in the background: what they start would ignore it too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
