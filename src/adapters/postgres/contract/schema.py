"""The schema: all migrations of this version, all constraints, and row level security on every table."""

from collections.abc import Sequence

import asyncpg

from tallystick.adapters.postgres.contract.privileges import privilege_faults
from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.migrating.migration_files import Migration
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.violations import GUARDS, RACES

_SQL = Statements.load("schema")


async def schema_faults(connection: Connection, migrations: Sequence[Migration]) -> list[str]:
    """Return how the schema differs from these migrations; the rest is checked where exactly these were applied."""
    faults = await migration_faults(connection, migrations)
    if faults:
        return faults
    names = {row["name"] for row in await connection.fetch(_SQL.constraints)}
    if missing := sorted((RACES | GUARDS) - names):
        faults.append(f"constraints are missing: {', '.join(missing)}")
    if unprotected := sorted(row["name"] for row in await connection.fetch(_SQL.unprotected_tables)):
        faults.append(f"row level security is not forced on: {', '.join(unprotected)}")
    return [*faults, *await privilege_faults(connection)]


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
