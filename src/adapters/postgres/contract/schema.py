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
from tallystick.adapters.postgres.migrating.migration_files import Migration
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.readiness import Fault

_SQL = Statements.load("schema")


class SchemaCheck:
    """Finds how the schema differs from the migrations and from the manifest."""

    def __init__(self, migrations: Sequence[Migration], manifest: Manifest | None = None) -> None:
        self._migrations = migrations
        self._manifest = manifest if manifest is not None else shipped_manifest()
        self._accepted_fingerprint: str | None = None

    async def faults(self, connection: Connection) -> list[Fault]:
        """Return the faults. The manifest is compared where exactly these migrations were applied."""
        if faults := await migration_faults(connection, self._migrations):
            return [Fault("schema", reason) for reason in faults]
        return await self.manifest_faults(connection)

    async def manifest_faults(self, connection: Connection) -> list[Fault]:
        """Return how the schema differs from the manifest; it is read only if the catalogue changed since it agreed."""
        # The fingerprint is taken first: a change between both statements is read at the next call.
        fingerprint = await read_fingerprint(connection)
        if fingerprint is not None and fingerprint == self._accepted_fingerprint:
            return []
        faults = manifest_faults(self._manifest, await read_manifest(connection))
        self._accepted_fingerprint = None if faults else fingerprint
        return faults


async def migration_faults(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    """Return how the migrations that were applied differ from these."""
    applied = await _applied(connection)
    expected = {migration.version: migration.checksum for migration in migrations}
    faults: list[str] = []
    if missing := sorted(set(expected) - set(applied)):
        faults.append(f"migrations are missing: {', '.join(missing)}; run 'tallystick migrate'")
    if newer := sorted(set(applied) - set(expected)):
        faults.append(f"the database is newer than this version: {', '.join(newer)}")
    if changed := sorted(v for v in expected if applied.get(v, expected[v]) != expected[v]):
        faults.append(f"migrations differ from the ones that ran: {', '.join(changed)}")
    return faults


async def _applied(connection: Connection) -> dict[str, str]:
    try:
        return {row["version"]: row["checksum"] for row in await connection.fetch(_SQL.migrations)}
    except (asyncpg.UndefinedTableError, asyncpg.InsufficientPrivilegeError):
        return {}  # the first migration creates the schema and grants the service access
