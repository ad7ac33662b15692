"""HAProxy in front of two instances, as Debian packages it and with the configuration of docker/haproxy."""

import csv
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.integration.poolers import free_port
from tests.processes.folders import database_folder
from tests.processes.installations import until_true

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "docker/haproxy/haproxy.cfg").read_text(encoding="utf-8")
_LAST_SERVER = '    server second "${TALLYSTICK_SECOND-127.0.0.1:8002}"\n'


class Balancer:
    """A running HAProxy, with the ports that its instances have to listen on."""

    def __init__(self, certificate: Path, socket_path: Path, added: Sequence[str] = ()) -> None:
        self.instances = {name: free_port() for name in ("first", "second", *added)}
        self.certificate = certificate
        self.trust = ssl.create_default_context(cafile=str(certificate))
        self.socket_path = socket_path
        self._http, self._https, self._state = free_port(), free_port(), free_port()

    @property
    def address(self) -> str:
        """Where clients reach it."""
        return f"https://127.0.0.1:{self._https}"

    @property
    def plain_address(self) -> str:
        """Where it redirects clients that come without TLS."""
        return f"http://127.0.0.1:{self._http}"

    @property
    def environment(self) -> dict[str, str]:
        """The variables that the configuration reads."""
        return {
            "TALLYSTICK_FIRST": f"127.0.0.1:{self.instances['first']}",
            "TALLYSTICK_SECOND": f"127.0.0.1:{self.instances['second']}",
            "TALLYSTICK_CERTIFICATE": str(self.certificate),
            "TALLYSTICK_HTTP": f"127.0.0.1:{self._http}",
            "TALLYSTICK_HTTPS": f"127.0.0.1:{self._https}",
            "TALLYSTICK_STATE": f"127.0.0.1:{self._state}",
        }

    def states(self) -> dict[str, str]:
        """Return the state of each instance, as an operator reads it."""
        page = httpx2.get(f"http://127.0.0.1:{self._state}/;csv", trust_env=False).text
        rows = csv.DictReader(page.removeprefix("# ").splitlines())
        return {row["svname"]: row["status"] for row in rows if row["svname"] in self.instances}

    def command(self, text: str) -> str:
        """Give a command to its socket, and return what it answers."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.connect(str(self.socket_path))
            connection.sendall(f"{text}\n".encode())
            return b"".join(iter(lambda: connection.recv(4096), b"")).decode().strip()

    def wait_until(self, name: str, state: str) -> None:
        """Wait until an instance is UP, DOWN or DRAIN."""
        until_true(lambda: self.states()[name].startswith(state), f"{name} does not become {state}")


@contextmanager
def balancing(check_interval: str, added: Sequence[str] = ()) -> Iterator[Balancer]:
    """Run HAProxy, with a certificate that was drawn, another interval of its health checks, and further instances."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    assert Path(program).exists(), "HAProxy is missing: apt-get install haproxy"
    with database_folder() as folder:
        subprocess.run([str(ROOT / "docker/draw-secrets.sh"), str(folder / "secrets")], check=True)
        balancer = Balancer(folder / "secrets/tls.pem", folder / "admin.sock", added)
        configuration = folder / "haproxy.cfg"
        changes = {
            " inter 2s ": f" inter {check_interval} ",
            "\nglobal\n": f"\nglobal\n    stats socket {balancer.socket_path} mode 600 level admin\n",
            _LAST_SERVER: _LAST_SERVER
            + "".join(f"    server {name} 127.0.0.1:{balancer.instances[name]}\n" for name in added),
        }
        text = EXAMPLE
        for before, after in changes.items():
            assert text.count(before) == 1, before
            text = text.replace(before, after)
        configuration.write_text(text, encoding="utf-8")
        log = (folder / "log").open("wb")
        command = [program, "-db", "-f", str(configuration)]
        process = subprocess.Popen(command, env=balancer.environment, stdout=log, stderr=log)
        try:
            yield balancer
        finally:
            process.terminate()
            process.wait(10)
            log.close()
