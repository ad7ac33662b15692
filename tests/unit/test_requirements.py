"""The lock files: what a server needs, what builds the package, and what tests and checks add."""

import re
from pathlib import Path

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


def test_tests_and_checks_add_to_what_a_server_needs_and_change_nothing_of_it() -> None:
    needed = {**pins("runtime"), **pins("build")}

    assert len(needed) > len(pins("build"))
    assert needed.items() <= pins("dev").items()


def test_a_server_installs_no_tool_of_tests_or_checks() -> None:
    assert not {"mypy", "pytest", "ruff", "schemathesis", "testcontainers", "twine"} & pins("runtime").keys()
