"""Diagnoses: read-only questions about incidents, as the owner of the schema and with the rights of the service."""

from typing import TYPE_CHECKING

import asyncpg

from tallystick.adapters.postgres.contract.manifest import read_manifest, shipped_manifest
from tallystick.adapters.postgres.contract.mending import mending_statements
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.operator_actions import Change, Operator, record_actions
from tallystick.adapters.postgres.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

_SQL = Statements.load("diagnoses")
_BE_SERVICE = f"SET LOCAL ROLE {SERVICE_ROLE}"
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"


class Diagnoses:
    """One session for each question. Repairs beside them store an audit row."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def without_code(self, before: "datetime", limit: int) -> list["asyncpg.Record"]:
        """Return living users without a canonical code who were created before a time, and their number."""
        return await self._of_service(_SQL.without_code, before, limit)

    async def guessing(self, since: "datetime", least: int, limit: int) -> list["asyncpg.Record"]:
        """Return the users who sent at least so many unknown codes since a time."""
        return await self._of_service(_SQL.guessing, since, least, limit)

    async def stuck_erasures(self, before: "datetime", limit: int) -> list["asyncpg.Record"]:
        """Return the deleted users whose rows have been waiting for their erasure since before a time."""
        return await self._of_service(_SQL.stuck_erasures, before, limit)

    async def waiting_points(self, causes: "Sequence[str]", limit: int) -> list["asyncpg.Record"]:
        """Return the pending accruals with other causes than these, the oldest first."""
        return await self._of_service(_SQL.waiting_points, list(causes), limit)

    async def negative_accounts(self, limit: int) -> list["asyncpg.Record"]:
        """Return accounts with a negative balance."""
        return await self._of_service(_SQL.negative_accounts, limit)

    async def leases_ahead(self, latest: "datetime") -> list["asyncpg.Record"]:
        """Return the schedules with a time after this one."""
        return await self._of_service(_SQL.leases_ahead, latest)

    async def blockers(self) -> list["asyncpg.Record"]:
        """Return the sessions that hold others up."""
        async with owner_session(self._dsn, name="runbook") as connection:
            return await connection.fetch(_SQL.blockers)

    async def idle_slots(self) -> list["asyncpg.Record"]:
        """Return replication slots that nobody reads, and the bytes of WAL that each retains."""
        async with owner_session(self._dsn, name="runbook") as connection:
            return await connection.fetch(_SQL.idle_slots)

    async def restoring(self) -> list[str]:
        """Return the statements that bring the schema to its manifest, as far as statements can."""
        async with owner_session(self._dsn, name="runbook") as connection:
            return await _mending(connection)

    async def terminate(self, pids: "Sequence[int]", by: Operator) -> list[Change]:
        """End sessions; PostgreSQL rolls their transactions back."""
        async with owner_session(self._dsn, name="runbook") as connection:
            for pid in pids:
                await connection.fetchval(_SQL.terminate, pid)
            changes = [Change(f"session {pid}", "holds others up", "ended") for pid in pids]
            await _audit(connection, "runbook lock-conflicts", changes, by)
        return changes

    async def restore(self, by: Operator) -> list[Change]:
        """Bring the schema to its manifest, in one transaction."""
        async with owner_session(self._dsn, name="runbook") as connection, connection.transaction():
            await connection.execute(_LOCK_TIMEOUT)
            statements = await _mending(connection)
            for statement in statements:
                await connection.execute(statement)
            changes = [Change("the schema", "not as the manifest", statement) for statement in statements]
            await connection.execute(_BE_SERVICE)
            await record_actions(connection, "runbook contract-missing", changes, by)
        return changes

    async def record(self, action: str, changes: "Sequence[Change]", by: Operator) -> None:
        """Store audit rows of what use cases changed."""
        async with owner_session(self._dsn, name="runbook") as connection:
            await _audit(connection, action, changes, by)

    async def _of_service(self, statement: str, *arguments: object) -> list["asyncpg.Record"]:
        async with owner_session(self._dsn, name="runbook") as connection, connection.transaction(readonly=True):
            await connection.execute(_BE_SERVICE)
            return await connection.fetch(statement, *arguments)


async def _mending(connection: Connection) -> list[str]:
    found = await read_manifest(connection)  # type: ignore[arg-type]  # outside the pool
    shared = {(row["table_name"], f"policy {row['name']}") for row in await connection.fetch(_SQL.shared_policies)}
    newest = await connection.fetchval(_SQL.newest_migration) or ""
    is_newer = newest > max(migration.version for migration in shipped())
    return mending_statements(shipped_manifest(), found, shared=shared, is_newer=is_newer)


async def _audit(connection: Connection, action: str, changes: "Sequence[Change]", by: Operator) -> None:
    async with connection.transaction():
        await connection.execute(_BE_SERVICE)
        await record_actions(connection, action, changes, by)
