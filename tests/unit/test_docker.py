"""The container files name what is there; nothing here needs an engine."""

import re
from pathlib import Path
from typing import Any

import yaml

from tallystick.entrypoints.cli.main import COMMANDS
from tallystick.entrypoints.settings import Settings, variable

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "docker/Dockerfile").read_text(encoding="utf-8")
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker/compose.yaml").read_text(encoding="utf-8"))


def test_the_files_that_the_image_copies_are_there() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _target = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert source not in ignored, source


def test_the_image_runs_commands_that_exist_as_nobody_special() -> None:
    commands = re.findall(r'CMD \["(?:tallystick", ")?(\w+)"', DOCKERFILE)

    assert set(commands) == {"serve", "probe"}
    assert set(commands) <= set(COMMANDS)
    assert re.search(r"^USER tallystick$", DOCKERFILE, re.MULTILINE)


def test_the_image_installs_by_hash() -> None:
    assert "--require-hashes --requirement requirements/runtime.txt" in DOCKERFILE


def test_the_files_that_compose_mounts_and_builds_are_there() -> None:
    for service in COMPOSE["services"].values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or (ROOT / "docker" / source).exists(), source
        build = service.get("build")
        if build is not None:
            assert (ROOT / "docker" / build["context"] / build["dockerfile"]).exists()


def test_compose_sets_settings_that_exist_and_no_secret() -> None:
    environment = COMPOSE["services"]["tallystick"]["environment"]

    assert set(environment) <= {variable(name) for name in Settings.__struct_fields__}
    for name in ("TALLYSTICK_JWT_SECRET", "TALLYSTICK_WEBHOOK_SECRETS"):
        assert environment[name].startswith(f"${{{name}:?")


def test_every_service_is_waited_for_until_it_is_healthy() -> None:
    services = COMPOSE["services"]

    for name, condition in services["tallystick"]["depends_on"].items():
        assert condition == {"condition": "service_healthy"}
        assert "healthcheck" in services[name]


def test_the_container_is_given_longer_to_stop_than_the_service_takes() -> None:
    assert int(COMPOSE["services"]["tallystick"]["stop_grace_period"].removesuffix("s")) > Settings().drain_seconds
