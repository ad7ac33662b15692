"""Reconciliation of imported invites: finds wrong counters and repeated uses, and repairs them."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, cast

import asyncpg
import msgspec

from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.operator_actions import Change, Operator, record_actions
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.invariant_passes import PostgresInvariantPasses

if TYPE_CHECKING:
    from tallystick.adapters.postgres.database import Connection

_SQL = Statements.load("reconciliation")

_GRANT = (
    f"GRANT DELETE ON tallystick.invite_uses TO {SERVICE_ROLE}; "
    f"GRANT UPDATE (max_uses) ON tallystick.invites TO {SERVICE_ROLE}"
)
_REVOKE = (
    f"REVOKE DELETE ON tallystick.invite_uses FROM {SERVICE_ROLE}; "
    f"REVOKE UPDATE (max_uses) ON tallystick.invites FROM {SERVICE_ROLE}"
)
_KEY = "ALTER TABLE tallystick.invite_uses ADD CONSTRAINT invite_uses_pkey PRIMARY KEY (invite_id, user_id)"


class WrongInvite(msgspec.Struct, frozen=True):
    """An invite with a wrong counter, with repeated uses, or with more users than seats."""

    invite_id: str
    code: str
    max_uses: int
    current_uses: int
    users: int
    """The number of different users who used it."""
    rows: int
    """The number of stored uses, repeated ones included."""


class InviteReconciliation:
    """Finds wrong invites as the owner of the schema, and repairs each under its row lock."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def session(self) -> AsyncIterator["InviteSession"]:
        """Connect for the block."""
        async with owner_session(self._dsn, name="reconcile") as connection:
            yield InviteSession(connection)


class InviteSession:
    """One connection of the owner, for finding wrong invites and repairing them."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def wrong(self) -> Sequence[WrongInvite]:
        """Return the wrong invites."""
        async with self._connection.transaction():
            await self._connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
            return [WrongInvite(*row) for row in await self._connection.fetch(_SQL.wrong_invites)]

    async def repair(self, invite: WrongInvite, by: Operator) -> Change:
        """Delete all repeated uses but the earliest, recount, store an audit row, and let the looks begin anew."""
        async with temporary_grant(self._connection, grant=_GRANT, revoke=_REVOKE):
            await self._connection.execute(_SQL.lock, invite.code)
            await self._connection.execute(_SQL.drop_duplicates, invite.invite_id)
            row = await self._connection.fetchrow(_SQL.recount, invite.invite_id)
            assert row is not None, "invites are never deleted"
            found = f"counter {invite.current_uses}, seats {invite.max_uses}, uses {invite.rows}"
            done = f"counter {row['current_uses']}, seats {row['max_uses']}, uses {row['current_uses']}"
            change = Change(invite.invite_id, found, done)
            await record_actions(self._connection, "repair seats_are_uses", [change], by)
            passes = PostgresInvariantPasses(cast("Connection", self._connection))
            await passes.reset("seats_are_uses", at=by.at)
        return change

    async def has_key(self) -> bool:
        """Return whether the primary key of uses exists, which forbids repeated ones."""
        return bool(await self._connection.fetchval(_SQL.has_key))

    async def restore_key(self) -> None:
        """Add the primary key, which an import with repeated uses had to drop."""
        await self._connection.execute(_KEY)
