"""The image of the service. hadolint reads its file, and nothing here needs an engine."""

import re
from pathlib import PurePath

from tallystick.entrypoints.cli.main import COMMANDS
from tests.unit.deployment.documented import DOCKER, ROOT, run

DOCKERFILE = (DOCKER / "Dockerfile").read_text(encoding="utf-8")
IGNORED = [pattern for pattern in (ROOT / ".dockerignore").read_text(encoding="utf-8").split() if pattern]


def test_hadolint_finds_nothing() -> None:
    assert run("hadolint", "--failure-threshold", "style", "docker/Dockerfile") == ""


def test_the_files_that_it_copies_are_there() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        *sources, _target = line.split()
        for source in sources:
            assert (ROOT / source).exists(), source
            assert not any(PurePath(source).match(pattern) for pattern in IGNORED), source


def test_secrets_data_and_the_environment_of_the_checkout_stay_outside() -> None:
    assert {".git", ".venv", ".tallystick", "docker/secrets"} <= set(IGNORED)


def test_it_runs_commands_that_exist_without_rights() -> None:
    commands = re.findall(r'CMD \["(?:tallystick", ")?(\w+)"', DOCKERFILE)

    assert set(commands) == {"serve", "probe"}
    assert set(commands) <= set(COMMANDS)
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE) == ["10001"]
    assert "useradd --system --uid 10001 " in DOCKERFILE


def test_its_base_is_pinned_by_a_digest_and_packages_by_hashes() -> None:
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)

    assert re.fullmatch(r"python:3\.13\.\d+-slim-\w+@sha256:[0-9a-f]{64}", bases[0])
    assert set(bases[1:]) == {"base"}
    for install in re.findall(r"\binstall (.+?)(?: \\)?$", DOCKERFILE, re.MULTILINE):
        assert "--require-hashes --requirement requirements/" in install or "--no-deps /wheels/" in install, install
