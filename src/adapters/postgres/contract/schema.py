"""The schema: all migrations of this version, and all that the manifest lists."""

from collections.abc import Sequence

import asyncpg

from tallystick.adapters.postgres.contract.comparison import manifest_faults
from tallystick.adapters.postgres.contract.manifest import (
    Manifest,
    read_fingerprint,
    read_manifest,
    shipped_manifest,
)
from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.migrating.history import History, compare_history
from tallystick.adapters.postgres.migrating.migration_files import Migration
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.readiness import Fault

_SQL = Statements.load("schema")


class SchemaCheck:
    """Finds how the schema differs from the migrations and from the manifest."""

    def __init__(self, migrations: Sequence[Migration], manifest: Manifest | None = None) -> None:
        self._migrations = migrations
        self._manifest = manifest if manifest is not None else shipped_manifest()
        self._accepted: tuple[str, bool] | None = None

    async def faults(self, connection: Connection) -> list[Fault]:
        """Return the faults, and a note where the schema is newer. If a migration is missing, that is the fault."""
        history = await read_history(connection, self._migrations)
        if history.faults:
            return [Fault("schema", reason) for reason in history.faults]
        return [
            *await self.manifest_faults(connection, is_newer=bool(history.newer)),
            *(Fault("schema", note, blocks="nothing") for note in history.notes),
        ]

    async def manifest_faults(self, connection: Connection, *, is_newer: bool = False) -> list[Fault]:
        """Return how the schema differs from the manifest; it is read only if the catalogue changed since it agreed."""
        # The fingerprint is taken first: a change between both statements is read at the next call.
        fingerprint = await read_fingerprint(connection)
        if fingerprint is not None and (fingerprint, is_newer) == self._accepted:
            return []
        faults = manifest_faults(self._manifest, await read_manifest(connection), is_newer=is_newer)
        self._accepted = None if faults or fingerprint is None else (fingerprint, is_newer)
        return faults


async def read_history(connection: Connection, migrations: Sequence[Migration]) -> History:
    """Read which migrations were applied, in the session of the service."""
    return compare_history(await _applied(connection), migrations)


async def _applied(connection: Connection) -> dict[str, str]:
    try:
        return {row["version"]: row["checksum"] for row in await connection.fetch(_SQL.migrations)}
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return {}  # the first migration creates the schema and grants the service access
