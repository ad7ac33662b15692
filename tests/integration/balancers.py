"""HAProxy in front of two instances, as Debian packages it and with the configuration of docker/haproxy."""

import csv
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2

from tests.integration.poolers import free_port
from tests.processes.folders import database_folder
from tests.processes.installations import until_true

ROOT = Path(__file__).parents[2]
EXAMPLE = (ROOT / "docker/haproxy/haproxy.cfg").read_text(encoding="utf-8")


class Balancer:
    """A running HAProxy, with the ports that its two instances have to listen on."""

    def __init__(self, certificate: Path) -> None:
        self.instances = {"first": free_port(), "second": free_port()}
        self.certificate = certificate
        self.trust = ssl.create_default_context(cafile=str(certificate))
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

    def wait_until(self, name: str, state: str) -> None:
        """Wait until an instance is UP or DOWN."""
        until_true(lambda: self.states()[name].startswith(state), f"{name} does not become {state}")


@contextmanager
def balancing(check_interval: str) -> Iterator[Balancer]:
    """Run HAProxy, with a certificate that was drawn and another interval of its health checks."""
    program = shutil.which("haproxy") or "/usr/sbin/haproxy"
    assert Path(program).exists(), "HAProxy is missing: apt-get install haproxy"
    with database_folder() as folder:
        subprocess.run([str(ROOT / "docker/draw-secrets.sh"), str(folder / "secrets")], check=True)
        balancer = Balancer(folder / "secrets/tls.pem")
        configuration = folder / "haproxy.cfg"
        assert EXAMPLE.count(" inter 2s ") == 1
        configuration.write_text(EXAMPLE.replace(" inter 2s ", f" inter {check_interval} "), encoding="utf-8")
        log = (folder / "log").open("wb")
        command = [program, "-db", "-f", str(configuration)]
        process = subprocess.Popen(command, env=balancer.environment, stdout=log, stderr=log)
        try:
            yield balancer
        finally:
            process.terminate()
            process.wait(10)
            log.close()
