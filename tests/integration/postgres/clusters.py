"""Clusters of one test each: the processes and the files of a running one."""

import subprocess
import sys
from pathlib import Path

import psutil

import tallystick.adapters
from tallystick.adapters.embedded.cluster import Cluster
from tests.integration.postgres.sessions import session

SOURCES = Path(str(tallystick.adapters.__file__)).parent.parent


def postmaster(folder: Path) -> psutil.Process:
    """Return the server that runs on a data directory."""
    return psutil.Process(int((folder / "postgres" / "postmaster.pid").read_text().splitlines()[0]))


def lives(process: psutil.Process) -> bool:
    """Return whether a process runs; one that ended and that nobody has asked for yet does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start_in_a_run_that_is_killed(folder: Path) -> None:
    """Start a cluster in a process that ends without a word."""
    program = (
        "import os, sys, pathlib\n"
        "from tallystick.adapters.embedded.cluster import Cluster\n"
        "Cluster(pathlib.Path(sys.argv[1])).start()\n"
        "os._exit(0)\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(folder)], env={"PYTHONPATH": str(SOURCES)}, capture_output=True, check=True
    )


async def empty(cluster: Cluster) -> None:
    """Drop the databases of a cluster, and then the roles that nothing else keeps."""
    async with session(cluster.dsn("postgres", "postgres")) as administrator:
        for row in await administrator.fetch(
            "SELECT datname FROM pg_database WHERE datname !~ '^(postgres|template.)$'"
        ):
            await administrator.execute(f'DROP DATABASE "{row["datname"]}" WITH (FORCE)')
        for row in await administrator.fetch("SELECT rolname FROM pg_roles WHERE rolname !~ '^(pg_|postgres$)'"):
            await administrator.execute(f'DROP ROLE "{row["rolname"]}"')


async def remember(cluster: Cluster, word: str) -> None:
    """Store a word in the cluster."""
    async with session(cluster.dsn("postgres", "postgres")) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS words (word text)")
        await connection.execute("INSERT INTO words VALUES ($1)", word)


async def remembered(cluster: Cluster) -> list[str]:
    """Return the words that the cluster holds."""
    async with session(cluster.dsn("postgres", "postgres")) as connection:
        return [row["word"] for row in await connection.fetch("SELECT word FROM words ORDER BY word")]
