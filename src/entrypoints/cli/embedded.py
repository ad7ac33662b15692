"""The embedded mode: a database that the command starts itself."""

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from tallystick.adapters.embedded.cluster import Cluster, ClusterError, ClusterInUse, binaries, has_cluster
from tallystick.adapters.embedded.logins import Logins, create_logins, stored_logins
from tallystick.adapters.telemetry.logs import logger
from tallystick.entrypoints.cli.data_directory import missing
from tallystick.entrypoints.settings import Settings

_POLL_SECONDS = 0.5


@contextmanager
def running_database(settings: Settings, *, may_create: bool = False) -> Iterator[Settings]:
    """Run the embedded database during the block, or use the one that a server runs here.

    An ordinary database is used as it is. ClusterError where there is no embedded database and none may be created.
    """
    if not settings.is_embedded:
        yield settings
        return
    folder = Path(settings.data_dir)
    if not may_create and not has_cluster(folder):
        raise missing(folder)
    cluster = Cluster(folder)
    try:
        try:
            cluster.start()
            logins = asyncio.run(create_logins(folder, cluster))
        except ClusterInUse:
            if not cluster.is_ready():
                raise
            logins = stored_logins(folder, cluster)
        yield _connected(settings, logins)
    finally:
        cluster.stop()


@contextmanager
def own_database(settings: Settings) -> Iterator[Settings]:
    """Run the embedded database for a server, which excludes other servers and restarts it when it dies."""
    folder = Path(settings.data_dir)
    cluster = Cluster(folder)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_alive, args=(cluster, ended), name="keep the database alive")
    try:
        cluster.start()
        logins = asyncio.run(create_logins(folder, cluster))
        keeper.start()
        yield _connected(settings, logins)
    finally:
        ended.set()
        if keeper.is_alive():
            keeper.join()
        cluster.stop()


def program_folders() -> list[Path]:
    """Return the folders that may hold PostgreSQL's client programs: those of the PATH, and the embedded server's."""
    folders = [Path(folder) for folder in os.get_exec_path()]
    with suppress(ClusterError):  # without the package, the PATH has to do
        folders.append(binaries())
    return folders


def _keep_alive(cluster: Cluster, ended: threading.Event) -> None:
    while not ended.wait(_POLL_SECONDS):
        try:
            if cluster.revive():
                logger().warning("the embedded database had ended; it was started again")
        except ClusterError as error:
            logger().error("the embedded database does not start", error=error)


def _connected(settings: Settings, logins: Logins) -> Settings:
    return msgspec.structs.replace(settings, database_url=logins.service_url, database_direct_url=logins.owner_url)
