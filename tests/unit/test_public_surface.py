"""The page that says what may be imported: each of its names is there, and its example runs."""

import ast
import importlib
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

import tallystick
from tallystick.entrypoints.server import Server
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET
from tests.processes.service import clean_environment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/public-surface.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(tallystick[\w.]*)` \| (.+) \|$", re.MULTILINE)
SURFACE = {module: re.findall(r"`(\w+)`", names) for module, names in ROW.findall(PAGE)}
ASGI = "tallystick.entrypoints.asgi"
EXAMPLES = re.compile(r"```python\n(.*?)```", re.DOTALL)


def imports(source: str) -> set[tuple[str, str]]:
    """Return the names of this package that a source imports, each with its module."""
    return {
        (node.module, alias.name)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module is not None and node.module.startswith("tallystick")
        for alias in node.names
    }


def run_python(program: str, folder: Path, environment: Mapping[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run a program in a process of its own, with warnings as errors."""
    command = [sys.executable, "-W", "error", "-c", program]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("module", sorted(SURFACE.keys() - {ASGI}))
def test_every_name_of_the_page_is_there_and_is_defined_where_it_is_imported_from(module: str) -> None:
    assert SURFACE[module]
    for name in SURFACE[module]:
        found = getattr(importlib.import_module(module), name)

        assert getattr(found, "__module__", module) == module, f"{name} is of {found.__module__}"


def test_the_application_for_asgi_servers_is_imported_with_settings_of_the_environment(tmp_path: Path) -> None:
    given = {
        "DATABASE_URL": "postgresql://service@127.0.0.1:9/nothing",
        "TALLYSTICK_JWT_SECRET": JWT_SECRET,
        "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET,
    }
    program = f"from tallystick.entrypoints.asgi import app; from {Server.__module__} import Server\n"
    program += "assert isinstance(app, Server)"

    assert SURFACE[ASGI] == ["app"]
    imported = [run_python(program, tmp_path, clean_environment(environment)) for environment in (given, {})]

    assert imported[0].returncode == 0, imported[0].stderr
    assert "SettingsError: DATABASE_URL is needed" in imported[1].stderr


def test_the_package_itself_offers_its_version_alone() -> None:
    assert SURFACE["tallystick"] == tallystick.__all__ == ["__version__"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", tallystick.__version__)


def test_examples_for_users_import_nothing_else() -> None:
    public = {(module, name) for module, names in SURFACE.items() for name in names}
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
        for example in EXAMPLES.findall(page.read_text(encoding="utf-8")):
            assert imports(example) <= public, page.name


def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    (example,) = EXAMPLES.findall(PAGE)

    ran = run_python(example, tmp_path, clean_environment({}))

    assert ran.returncode == 0, ran.stderr
