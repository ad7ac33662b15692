"""The two logins of an embedded database: their passwords, each kept in a file of the data directory."""

import secrets
from pathlib import Path

import msgspec

from tallystick.adapters.embedded.cluster import Cluster, ClusterError
from tallystick.adapters.embedded.provision import DATABASE, OWNER, SERVICE, provision
from tallystick.adapters.embedded.secret_files import kept_secret

_PASSWORD_BYTES = 24


class Logins(msgspec.Struct, frozen=True):
    """How to connect to the embedded database."""

    owner_url: str
    """As the owner of the schema, for migrations and for commands that need more rights than the service has."""
    service_url: str
    """As the login of the service."""


async def create_logins(folder: Path, cluster: Cluster) -> Logins:
    """Create both logins in a running cluster, or set their stored passwords, and return how to connect.

    A data directory of an earlier version gets the login of the service here, and its owner gets a new password.
    """
    passwords = {
        name: kept_secret(path, secrets.token_urlsafe(_PASSWORD_BYTES)) for name, path in _files(folder).items()
    }
    superuser = cluster.dsn("postgres", "postgres")
    await provision(superuser, password=passwords[OWNER], service_password=passwords[SERVICE])
    return _logins(cluster, passwords)


def stored_logins(folder: Path, cluster: Cluster) -> Logins:
    """Return how to connect to a database that another process runs; ClusterError where it has no logins yet."""
    try:
        passwords = {name: path.read_text(encoding="ascii").strip() for name, path in _files(folder).items()}
    except FileNotFoundError:
        raise ClusterError(
            f"the server that uses {folder} is still starting, or it is of an earlier version: "
            "try again, or stop it and start it with this version"
        ) from None
    return _logins(cluster, passwords)


def _files(folder: Path) -> dict[str, Path]:
    return {OWNER: folder / "owner.password", SERVICE: folder / "service.password"}


def _logins(cluster: Cluster, passwords: dict[str, str]) -> Logins:
    return Logins(
        owner_url=cluster.dsn(OWNER, DATABASE, passwords[OWNER]),
        service_url=cluster.dsn(SERVICE, DATABASE, passwords[SERVICE]),
    )
