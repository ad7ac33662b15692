"""Diagnoses: read-only questions about incidents, as the owner of the schema and with the rights of the service."""

from typing import TYPE_CHECKING

import asyncpg

from tallystick.adapters.postgres.contract.manifest import read_manifest, shipped_manifest
from tallystick.adapters.postgres.contract.mending import mending
from tallystick.adapters.postgres.contract.restoring import Mend
from tallystick.adapters.postgres.contract.schema import read_history
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.operator_actions import Change, Operator, record_actions
from tallystick.adapters.postgres.statements import Statements

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence
    from datetime import datetime

    from tallystick.adapters.postgres.contract.comparison import Item

    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

_SQL = Statements.load("diagnoses")
_BE_SERVICE = f"SET LOCAL ROLE {SERVICE_ROLE}"
_LOCK_TIMEOUT = "SET LOCAL lock_timeout = '5s'"
_STEPS = (("grant ",), ("policy ", "row level security"), ("constraint ", "index ", "column "))
"""The kinds of items that are mended in one transaction."""


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

    async def to_mend(self, items: "Collection[Item]") -> "list[Item]":
        """Return those of these items that the schema lacks, or has with another definition."""
        async with owner_session(self._dsn, name="runbook") as connection:
            found = {mend[:2] for mend in await _mending(connection)}
        return [item for item in items if item in found]

    async def terminate(self, pids: "Sequence[int]", by: Operator) -> list[Change]:
        """End sessions; PostgreSQL rolls their transactions back."""
        async with owner_session(self._dsn, name="runbook") as connection:
            for pid in pids:
                await connection.fetchval(_SQL.terminate, pid)
            changes = [Change(f"session {pid}", "holds others up", "ended") for pid in pids]
            await _audit(connection, "runbook lock-conflicts", changes, by)
        return changes

    async def restore(self, action: str, by: Operator, *, only: "Collection[Item] | None" = None) -> list[Change]:
        """Bring the schema, or these items alone, to its manifest, and return what changed.

        Rights, policies, and what rows can violate are a transaction each, in this order, so that no row keeps a right.
        """
        changes: list[Change] = []
        async with owner_session(self._dsn, name="runbook") as connection:
            for kinds in _STEPS:
                async with connection.transaction():
                    await connection.execute(_LOCK_TIMEOUT)
                    mends = [mend for mend in await _mending(connection) if mend.item.startswith(kinds)]
                    done = await _mend(connection, [mend for mend in mends if only is None or mend[:2] in only])
                    await connection.execute(_BE_SERVICE)
                    await record_actions(connection, action, done, by)
                changes += done
        return changes

    async def record(self, action: str, changes: "Sequence[Change]", by: Operator) -> None:
        """Store audit rows of what use cases changed."""
        async with owner_session(self._dsn, name="runbook") as connection:
            await _audit(connection, action, changes, by)

    async def _of_service(self, statement: str, *arguments: object) -> list["asyncpg.Record"]:
        async with owner_session(self._dsn, name="runbook") as connection, connection.transaction(readonly=True):
            await connection.execute(_BE_SERVICE)
            return await connection.fetch(statement, *arguments)


async def _mending(connection: Connection) -> list[Mend]:
    found = await read_manifest(connection)  # type: ignore[arg-type]  # outside the pool
    shared = {(row["table_name"], f"policy {row['name']}") for row in await connection.fetch(_SQL.shared_policies)}
    history = await read_history(connection, shipped())  # type: ignore[arg-type]  # outside the pool
    return mending(
        shipped_manifest(), found, shared=shared, is_newer=bool(history.newer), is_waiting=bool(history.waiting)
    )


async def _mend(connection: Connection, mends: "Sequence[Mend]") -> list[Change]:
    """Run the statements, and return those after which the schema no longer needs them: a right can come by PUBLIC."""
    for mend in mends:
        await connection.fetch(mend.statement)  # unlike execute, it refuses a text of several statements
    left = set(await _mending(connection)) if mends else set[Mend]()
    return [Change("the schema", "not as the manifest", mend.statement) for mend in mends if mend not in left]


async def _audit(connection: Connection, action: str, changes: "Sequence[Change]", by: Operator) -> None:
    async with connection.transaction():
        await connection.execute(_BE_SERVICE)
        await record_actions(connection, action, changes, by)
