"""Point-in-time recovery as docs/backup.md describes it: a base backup, an archive, and a moment between two writes."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tallystick.adapters.embedded.cluster import Cluster, binaries
from tallystick.adapters.embedded.logins import create_logins, stored_logins
from tallystick.adapters.embedded.provision import DATABASE
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tallystick.entrypoints.cli.restored import verified
from tallystick.entrypoints.settings import load
from tests.integration.postgres.sessions import Session, pool_on, session
from tests.processes.folders import database_folder
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World


@pytest.fixture
def folder() -> Iterator[Path]:
    with database_folder() as folder:
        yield folder


def started(folder: Path, options: dict[str, str], clusters: list[Cluster]) -> Cluster:
    cluster = Cluster(folder, options=options)
    clusters.append(cluster)
    cluster.start()
    return cluster


@pytest.fixture
def clusters() -> Iterator[list[Cluster]]:
    """Return a list of servers, which are ended."""
    clusters: list[Cluster] = []
    yield clusters
    for cluster in clusters:
        cluster.crash()
        cluster.stop()


async def mint(dsn: str, user: str) -> None:
    async with pool_on(dsn) as database:
        await World(PostgresBackend(database)).mint(user)


async def is_archived(cluster: Cluster) -> None:
    """Close the segment of the log that is being written, and wait until the archive has it."""
    async with session(cluster.dsn("postgres", DATABASE)) as superuser:
        segment = await superuser.fetchval("SELECT pg_walfile_name(pg_switch_wal())")
        await until(superuser, f"SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver")


async def until(observer: Session, holds: str) -> None:
    """Ask the server again and again until something holds."""
    while not await observer.fetchval(holds):  # noqa: ASYNC110  another process changes it
        await asyncio.sleep(0.05)


def back_up_base(cluster: Cluster, data: Path) -> None:
    program, host = binaries() / "pg_basebackup", f"--host={cluster.socket_folder}"
    subprocess.run(
        [program, host, "--username=postgres", f"--pgdata={data}", "--checkpoint=fast"],
        env={**os.environ, "PGPASSWORD": cluster.password},
        check=True,
    )


async def test_a_server_is_brought_back_to_a_moment_between_two_writes(folder: Path, clusters: list[Cluster]) -> None:
    archive = folder / "archive"
    archive.mkdir()
    archiving = {"archive_mode": "on", "archive_command": f"test ! -f {archive}/%f && cp %p {archive}/%f"}
    cluster = started(folder / "lost", archiving, clusters)
    logins = await create_logins(folder / "lost", cluster)
    await Migrator(logins.owner_url, now=lambda: datetime.now(UTC)).apply()
    await mint(logins.service_url, "before-the-base-backup")
    recovered = folder / "recovered"
    recovered.mkdir(mode=0o711)
    await asyncio.to_thread(back_up_base, cluster, recovered / "postgres")

    await mint(logins.service_url, "before-the-moment")
    async with session(logins.service_url) as service:
        moment = await service.fetchval("SELECT clock_timestamp()::text")
    await mint(logins.service_url, "after-the-moment")
    await is_archived(cluster)
    cluster.crash()

    for file in (folder / "lost").glob("*.password"):
        shutil.copy(file, recovered / file.name)
    (recovered / "postgres" / "recovery.signal").touch()
    target = {"recovery_target_time": moment, "recovery_target_action": "promote"}
    back = started(recovered, {"restore_command": f"cp {archive}/%f %p", **target}, clusters)

    async with session(back.dsn("postgres", DATABASE)) as superuser:
        await until(superuser, "SELECT NOT pg_is_in_recovery()")
        users = await superuser.fetch("SELECT user_id FROM tallystick.referral_codes ORDER BY user_id")
    assert [row["user_id"] for row in users] == ["before-the-base-backup", "before-the-moment"]
    logins = stored_logins(recovered, back)
    settings = load({"DATABASE_URL": logins.service_url, "DATABASE_DIRECT_URL": logins.owner_url})
    assert [row.state for row in await verified(settings)] == ["ok", "ok", "ok"]
    await mint(logins.service_url, "after-the-recovery")
