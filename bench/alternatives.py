"""The alternatives that a user could write: FastAPI and Fastify, installed for the run and started like the service."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench.database import Database
from bench.servers import Server, ServerFailed, running

FASTAPI, FASTIFY = "FastAPI + asyncpg", "Fastify + pg"
_HERE = Path(__file__).parent
_INSTALL_SECONDS = 120.0
_SHOWN = 300


class Alternative(NamedTuple):
    """An alternative, or the reason why it is missing."""

    name: str
    server: Server | None
    missing: str = ""


class Installation(NamedTuple):
    """An installer that runs in a folder, or the reason why none runs."""

    folder: Path
    process: "subprocess.Popen[bytes] | None"
    missing: str = ""

    def fault(self) -> str:
        """Wait for the installer; return its error, empty on success."""
        if self.process is None:
            return self.missing
        try:
            said = self.process.communicate(timeout=_INSTALL_SECONDS)[0].decode(errors="replace").strip()
        except subprocess.TimeoutExpired:
            self.stop()
            return "its packages did not come in time"
        last = said.splitlines()[-1:] or ["the installer said nothing"]
        return f"its packages could not be installed: {last[0][:_SHOWN]}" if self.process.returncode else ""

    def stop(self) -> None:
        """End the installer if it still runs."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


@contextmanager
def installing(folder: Path) -> Iterator[dict[str, Installation]]:
    """Install the packages of the alternatives into temporary folders, in the background."""
    begun = {FASTAPI: _install_fastapi(folder / "fastapi"), FASTIFY: _install_fastify(folder / "fastify")}
    try:
        yield begun
    finally:
        for installation in begun.values():
            installation.stop()


@contextmanager
def fastapi(folder: Path, installation: Installation, database: Database, jwt_secret: str) -> Iterator[Alternative]:
    """Run FastAPI under uvicorn, with uvloop, httptools and one worker."""
    command = [sys.executable, str(_HERE / "fastapi" / "server.py")]
    environment = {**database.environment(), "JWT_SECRET": jwt_secret, "PYTHONPATH": str(installation.folder)}
    with _alternative(FASTAPI, folder, installation, command, environment) as alternative:
        yield alternative


@contextmanager
def fastify(folder: Path, installation: Installation, database: Database, jwt_secret: str) -> Iterator[Alternative]:
    """Run Fastify in one process of Node."""
    command = [shutil.which("node") or "node", str(installation.folder / "server.js")]
    environment = {**database.environment(), "JWT_SECRET": jwt_secret, "NODE_ENV": "production"}
    with _alternative(FASTIFY, folder, installation, command, environment) as alternative:
        yield alternative


@contextmanager
def _alternative(
    name: str, folder: Path, installation: Installation, command: list[str], environment: dict[str, str]
) -> Iterator[Alternative]:
    fault, server = installation.fault(), None
    with ExitStack() as stack:
        if not fault:
            try:
                server = stack.enter_context(running(command, folder, environment))
            except ServerFailed as error:
                fault = str(error)
        yield Alternative(name, server, fault)


def _install_fastapi(folder: Path) -> Installation:
    folder.mkdir(parents=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes"]
    command += ["--target", str(folder), "--requirement", str(_HERE / "requirements.txt")]
    return Installation(folder, _begin(command, folder))


def _install_fastify(folder: Path) -> Installation:
    folder.mkdir(parents=True)
    npm = shutil.which("npm")
    if npm is None or shutil.which("node") is None:
        return Installation(folder, None, "Node is not installed here")
    for name in ("package.json", "package-lock.json", "server.js"):
        shutil.copy(_HERE / "fastify" / name, folder)
    return Installation(
        folder, _begin([npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder)
    )


def _begin(command: list[str], folder: Path) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command,
        cwd=folder,
        env=os.environ,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
