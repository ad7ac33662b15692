"""The configuration of docker/haproxy, as HAProxy reads it, and its numbers beside those of the service.

`tests/integration/http/test_balanced.py` restarts two instances behind it.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from tallystick.application.stream_hub import StreamLimits
from tests.unit.deployment.documented import DOCKER, ROOT, run

TEXT = (DOCKER / "haproxy/haproxy.cfg").read_text(encoding="utf-8")
SERVICES: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
VARIABLES = set(re.findall(r"\$\{(\w+)", TEXT))


def seconds(directive: str) -> int:
    """Return a time of the configuration that is written in seconds."""
    found = re.search(rf"\b{directive} (\d+)s\b", TEXT)
    assert found is not None, directive
    return int(found[1])


def test_haproxy_accepts_it(tmp_path: Path) -> None:
    run("sh", "docker/draw-secrets.sh", str(tmp_path / "secrets"))
    certificate = str(tmp_path / "secrets/tls.pem")

    run("haproxy", "-c", "-f", "docker/haproxy/haproxy.cfg", environment={"TALLYSTICK_CERTIFICATE": certificate})


def test_streams_are_not_cut_between_two_heartbeats() -> None:
    longest = 2 * StreamLimits().heartbeat_seconds  # one heartbeat may be late

    assert min(seconds("timeout client"), seconds("timeout server")) > longest


def test_an_instance_is_taken_out_before_its_drain_delay_ends() -> None:
    fall = re.search(r" fall (\d+) ", TEXT)
    assert fall is not None
    noticed = seconds("inter") * int(fall[1]) + seconds("timeout check")
    delay = re.search(r":-(\d+)", SERVICES["tallystick"]["environment"]["TALLYSTICK_DRAIN_DELAY_SECONDS"])
    assert delay is not None

    assert noticed < int(delay[1])


def test_its_variables_are_documented_and_those_of_compose_exist() -> None:
    page = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")

    assert {name for name in VARIABLES if f"`{name}`" not in page} == set()
    assert set(SERVICES["haproxy"]["environment"]) <= VARIABLES


def test_its_log_has_no_path_and_no_query() -> None:
    (format_of_lines,) = re.findall(r"^ +log-format '(.+)'$", TEXT, re.MULTILINE)

    assert not re.search(r"%(?:\{\+\w\})?(?:r|HP|HQ|HU|HPO|hr|hrl)\b", format_of_lines)
    assert "option httplog" not in TEXT
