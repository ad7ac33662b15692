"""The embedded mode: a database of our own, and secrets that nobody had to think of."""

import asyncio
import base64
import os
import secrets
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg
import msgspec

from adapters.embedded.cluster import Cluster, ClusterError, ClusterInUse
from adapters.embedded.provision import DATABASE, OWNER, provision
from adapters.embedded.unprivileged import NoUnprivilegedUser
from adapters.postgres.migrator import MigrationRefused
from adapters.telemetry.logs import logger
from entrypoints.settings import Settings

FORESEEN = (ClusterError, NoUnprivilegedUser, MigrationRefused, OSError, asyncpg.PostgresError)
"""What may go wrong with the database of a command."""

_SECRET_BYTES = 32
_LOOK_SECONDS = 0.5


def with_secrets(settings: Settings) -> Settings:
    """Return the settings with secrets for all that were not given, kept in the data directory."""
    folder = Path(settings.data_dir)
    changes: dict[str, str] = {}
    if settings.jwt_secret is None and settings.jwks_url is None:
        changes["jwt_secret"] = _kept(folder / "jwt.secret", secrets.token_urlsafe(_SECRET_BYTES))
    if settings.jwt_secret is None and settings.jwks_url is not None and settings.session_secret is None:
        changes["session_secret"] = _kept(folder / "session.secret", secrets.token_urlsafe(_SECRET_BYTES))
    if settings.webhook_secrets is None:
        drawn = base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()
        changes["webhook_secrets"] = _kept(folder / "webhook.secret", f"whsec_{drawn}")
    return msgspec.structs.replace(settings, **changes)


@contextmanager
def running_database(settings: Settings) -> Iterator[Settings]:
    """Run the embedded database for as long as it is needed, or use the one that a server runs here.

    An ordinary database is used as it is.
    """
    if not settings.is_embedded:
        yield settings
        return
    cluster = Cluster(Path(settings.data_dir))
    try:
        try:
            cluster.start()
            asyncio.run(provision(cluster.dsn("postgres", "postgres"), password=cluster.password))
        except ClusterInUse:
            if not cluster.is_ready():
                raise
        yield _connected(settings, cluster)
    finally:
        cluster.stop()


@contextmanager
def own_database(settings: Settings) -> Iterator[Settings]:
    """Run the embedded database for a server: nobody else runs it, and it is started again when it dies."""
    cluster = Cluster(Path(settings.data_dir))
    ended = threading.Event()
    keeper = threading.Thread(target=_keep_alive, args=(cluster, ended), name="keep the database alive")
    try:
        cluster.start()
        asyncio.run(provision(cluster.dsn("postgres", "postgres"), password=cluster.password))
        keeper.start()
        yield _connected(settings, cluster)
    finally:
        ended.set()
        if keeper.is_alive():
            keeper.join()
        cluster.stop()


def _keep_alive(cluster: Cluster, ended: threading.Event) -> None:
    while not ended.wait(_LOOK_SECONDS):
        try:
            if cluster.revive():
                logger().warning("the embedded database had ended; it was started again")
        except ClusterError as error:
            logger().error("the embedded database does not start", error=error)


def _connected(settings: Settings, cluster: Cluster) -> Settings:
    return msgspec.structs.replace(settings, database_url=cluster.dsn(OWNER, DATABASE))


def _kept(path: Path, fresh: str) -> str:
    """Return what the file holds; where that is nothing, put the fresh value there, for its owner's eyes only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o711)
    if path.exists() and (kept := path.read_text(encoding="ascii").strip()):
        return kept
    path.unlink(missing_ok=True)
    # It appears whole: whoever starts at the same time finds nothing, or a secret.
    with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=path.name, encoding="ascii") as file:
        file.write(fresh)
        file.flush()
        os.fsync(file.fileno())
        try:
            os.link(file.name, path)
        except FileExistsError:
            return path.read_text(encoding="ascii").strip()
    return fresh
