"""The steps of docs/deploy.md name files, commands, services and profiles that exist."""

import re
import subprocess
from typing import Any

import pytest
import yaml

from tests.commands import EVERY
from tests.unit.deployment.documented import DOCKER, ROOT

PAGE = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
BLOCKS: list[str] = re.findall(r"^```(?:sh)?\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
MADE = {"docker/.env", "docker/secrets", "docker/secrets/grafana_password", "docker/kubernetes/secret.yaml"}
"""Files that the steps write."""


@pytest.mark.parametrize("block", BLOCKS)
def test_a_shell_can_parse_the_steps(block: str) -> None:
    if block.startswith("release:"):  # a Procfile
        block = re.sub(r"^\w+: ", "", block, flags=re.MULTILINE)

    assert subprocess.run(["sh", "-n"], input=block, text=True, capture_output=True, check=False).stderr == ""


def test_the_files_that_it_names_are_there() -> None:
    named = set(re.findall(r"(?<![\w/.-])(?:docker|requirements)/[\w./@-]*[\w]", PAGE))
    named |= {f"docker/kubernetes/{name}" for name in re.findall(r"(?<![\w/.-])([\w.-]+\.yaml)", PAGE)}

    assert len(named) > 15
    assert {name for name in named - MADE if not (ROOT / name).exists()} == set()


def test_the_commands_that_it_runs_exist_with_their_options() -> None:
    ran = re.findall(r"(?:^|[ /])tallystick (?!tallystick)([a-z]+)((?: [^\s;&|]+)*)", "\n".join(BLOCKS), re.MULTILINE)

    assert len(ran) > 4
    for name, rest in ran:
        options = {option for parameter in EVERY[name].params for option in parameter.opts}
        assert {word for word in rest.split() if word.startswith("--")} <= options, (name, rest)


def test_the_services_and_profiles_of_compose_exist() -> None:
    services = re.findall(r"docker compose -f docker/compose\.yaml (?:exec|run --rm) ([\w-]+)", PAGE)
    profiles = set(re.findall(r"--profile (\w+)", PAGE))

    assert {"tallystick", "migrate"} == set(services)
    assert profiles == {profile for service in COMPOSE.values() for profile in service.get("profiles", [])}
