"""PgBouncer in front of the server under test, as Debian packages it and with the configuration of docker/pgbouncer."""

import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tallystick.adapters.embedded.provision import OWNER, SERVICE
from tallystick.adapters.embedded.unprivileged import identity_for

EXAMPLE = (Path(__file__).parents[2] / "docker/pgbouncer/pgbouncer.ini").read_text(encoding="utf-8")
_START_SECONDS = 15.0


class Pooler:
    """A PgBouncer, which can be stopped and started again at the same address."""

    def __init__(self, port: int, password: str, run: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self._port, self._password, self._run = port, password, run
        self._process = run()

    def dsn(self, user: str, database: str) -> str:
        """Return how a login connects to a database through it."""
        return f"postgresql://{user}:{self._password}@127.0.0.1:{self._port}/{database}"

    def wait_until_open(self) -> None:
        """Wait until it takes connections."""
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            assert self._process.poll() is None, "PgBouncer has ended"
            with socket.socket() as client:
                if client.connect_ex(("127.0.0.1", self._port)) == 0:
                    return
            time.sleep(0.05)
        raise AssertionError("PgBouncer does not listen")

    def start(self) -> None:
        """Start it again after it was stopped."""
        self._process = self._run()
        self.wait_until_open()

    def stop(self, how: signal.Signals) -> None:
        """Send a signal, and wait for the end: at SIGINT it lets running transactions end."""
        self._process.send_signal(how)
        self._process.wait(_START_SECONDS)


def configured(changes: Mapping[str, str]) -> str:
    """Return the configuration of docker/pgbouncer with other values."""
    text = EXAMPLE
    for name, value in changes.items():
        text, found = re.subn(rf"^{name} =.*$", f"{name} = {value}", text, flags=re.MULTILINE)
        assert found == 1, name
    return text


@contextmanager
def pooling(superuser_dsn: str, password: str, **changes: str) -> Iterator[Pooler]:
    """Run PgBouncer in front of the server of a DSN, with both logins; changes replace values of the configuration."""
    program = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
    assert Path(program).exists(), "PgBouncer is missing: apt-get install pgbouncer"
    folder = Path(tempfile.mkdtemp(prefix="pgbouncer-"))
    parts = urlsplit(superuser_dsn)
    place = f"host={parse_qs(parts.query).get('host', [parts.hostname or ''])[0]} port={parts.port or 5432}"
    port = free_port()
    users = folder / "users.txt"
    users.write_text("".join(f'"{user}" "{password}"\n' for user in (OWNER, SERVICE)), encoding="ascii")
    configuration = folder / "pgbouncer.ini"
    addresses = {"tallystick": place, "listen_port": str(port), "auth_file": str(users)}
    text = configured({**addresses, **changes}).replace("tallystick =", "* =")
    configuration.write_text(f"{text}logfile = {folder / 'log'}\n", encoding="ascii")
    # It refuses root, as PostgreSQL does, and has to reach the socket of the embedded server: it runs as that does.
    identity = identity_for(folder, Path(program).parent)
    if identity.uid is not None:
        for path in (folder, users, configuration):
            os.chown(path, identity.uid, -1)
    command = [program, "-q", str(configuration)]
    pooler = Pooler(port, password, lambda: identity.run(command, folder, subprocess.DEVNULL))
    try:
        pooler.wait_until_open()
        yield pooler
    finally:
        pooler.stop(signal.SIGKILL)
        shutil.rmtree(folder)


def free_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
