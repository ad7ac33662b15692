"""The lock files: the packages of a server, of a build, and of tests and checks."""

import os
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BOTH = """
import asyncio, sys
from tallystick.entrypoints.settings import Settings
from tallystick.entrypoints.wiring import App, build
from litestar.testing import TestClient  # noqa
"""


def pins(name: str) -> dict[str, str]:
    """Return the versions that a lock file names."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\]+)", text, re.MULTILINE))


def test_tests_and_checks_add_to_the_packages_of_a_server_and_change_none() -> None:
    needed = {**pins("runtime"), **pins("build")}

    assert len(needed) > len(pins("build"))
    assert needed.items() <= pins("dev").items()


def test_what_mutates_the_core_changes_nothing_of_what_the_tests_need() -> None:
    tests, mutate = pins("dev"), pins("mutate")

    assert "mutmut" in mutate
    assert {name: version for name, version in mutate.items() if tests.get(name, version) != version} == {}


def test_a_server_installs_no_tool_of_tests_or_checks() -> None:
    assert not {"mypy", "pytest", "ruff", "schemathesis", "testcontainers", "twine"} & pins("runtime").keys()


def recipes(target: str) -> str:
    """Return the commands of a target in a checkout where nothing is made yet."""
    # The tests may run below a `make` of their own, which passes its options and variables on.
    environment = {"PATH": os.environ["PATH"]}
    command = ["make", "--dry-run", "--always-make", target]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout


def test_a_server_is_started_without_what_tests_and_checks_need() -> None:
    assert "requirements/runtime.txt" in recipes("run")
    assert "requirements/dev.txt" not in recipes("run")


@pytest.mark.parametrize("target", ["test", "unit", "check", "bench", "install"])
def test_targets_that_test_check_or_measure_install_it_all(target: str) -> None:
    made = recipes(target)

    assert made.index("requirements/runtime.txt") < made.index("requirements/dev.txt")


def test_the_environment_is_never_cleared_under_a_running_server() -> None:
    clears = [line for line in recipes("test").splitlines() if "--clear" in line]

    assert clears == ["test -x .venv/bin/python || python3 -m venv --clear .venv"]
