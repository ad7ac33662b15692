"""Reconciliation of invites that were brought in from elsewhere: what differs, and putting it right."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("reconciliation")

_GIVE = (
    f"GRANT DELETE ON tallystick.invite_uses TO {SERVICE_ROLE}; "
    f"GRANT UPDATE (max_uses) ON tallystick.invites TO {SERVICE_ROLE}"
)
_TAKE_BACK = (
    f"REVOKE DELETE ON tallystick.invite_uses FROM {SERVICE_ROLE}; "
    f"REVOKE UPDATE (max_uses) ON tallystick.invites FROM {SERVICE_ROLE}"
)
_KEY = "ALTER TABLE tallystick.invite_uses ADD CONSTRAINT invite_uses_pkey PRIMARY KEY (invite_id, user_id)"


class WrongInvite(msgspec.Struct, frozen=True):
    """An invite whose counter or uses are not what they should be."""

    invite_id: str
    code: str
    max_uses: int
    current_uses: int
    users: int
    """Who took a seat, each once."""
    rows: int
    """How many uses are stored, those of one user more than once among them."""


class InviteReconciliation:
    """Looks at every invite as the owner of the schema, and repairs one after the other under its row lock."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def session(self) -> AsyncIterator["InviteSession"]:
        """Connect for as long as it takes."""
        async with owner_session(self._dsn, name="reconcile") as connection:
            yield InviteSession(connection)


class InviteSession:
    """One look, and the repairs after it."""

    def __init__(self, connection: "asyncpg.Connection[asyncpg.Record]") -> None:
        self._connection = connection

    async def wrong(self) -> Sequence[WrongInvite]:
        """Return the invites that are not as they should be."""
        async with self._connection.transaction():
            await self._connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
            return [WrongInvite(*row) for row in await self._connection.fetch(_SQL.wrong_invites)]

    async def repair(self, invite: WrongInvite) -> None:
        """Drop repeated uses, of which the earliest stays, and count anew."""
        async with temporary_grant(self._connection, give=_GIVE, take_back=_TAKE_BACK):
            await self._connection.execute(_SQL.lock, invite.code)
            await self._connection.execute(_SQL.drop_duplicates, invite.invite_id)
            await self._connection.execute(_SQL.count_anew, invite.invite_id)

    async def has_key(self) -> bool:
        """Tell whether the key that forbids repeated uses is there."""
        return bool(await self._connection.fetchval(_SQL.has_key))

    async def restore_key(self) -> None:
        """Put back the key, which an import that brought repeated uses had to drop."""
        await self._connection.execute(_KEY)
