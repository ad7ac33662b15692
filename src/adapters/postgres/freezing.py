"""Freezing of accounts: by the owner of the schema alone, with a right that the service holds for one transaction."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from adapters.postgres.database import SERVICE_ROLE
from adapters.postgres.statements import Statements
from domain.ledger import Account, Unit
from domain.users import UserId

_SQL = Statements.load("freezing")

_LOCK = 0x7461_6C6C_7966_727A  # "tallyfrz"
# Visible to nobody else: it is taken back in the transaction that gives it.
_GIVE = f"GRANT UPDATE (frozen_at) ON tallystick.ledger_accounts TO {SERVICE_ROLE}"
_TAKE_BACK = f"REVOKE UPDATE (frozen_at) ON tallystick.ledger_accounts FROM {SERVICE_ROLE}"


class AccountFreezing:
    """Stops accounts, and lets them go on; who waits for their rows sees it."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def freeze(self, user_id: UserId, units: Sequence[Unit], at: datetime) -> list[Account]:
        """Freeze a user's accounts, open or not, and return them: none of a user who was never seen.

        One that is frozen keeps its time.
        """
        return await self._run(_SQL.freeze, user_id, list(units), at)

    async def thaw(self, user_id: UserId, units: Sequence[Unit]) -> list[Account]:
        """Let a user's accounts go on, and return those there are."""
        return await self._run(_SQL.thaw, user_id, list(units))

    async def _run(self, statement: str, *arguments: object) -> list[Account]:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            self._dsn,
            timeout=10,
            statement_cache_size=0,
            server_settings={"application_name": "tallystick freeze", "search_path": "tallystick"},
        )
        try:
            async with connection.transaction():
                # One at a time: two who give and take one right at once get in each other's way.
                await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
                await connection.execute(_GIVE)
                await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
                rows = await connection.fetch(statement, *arguments)
                await connection.execute("RESET ROLE")
                await connection.execute(_TAKE_BACK)
            return sorted((Account(*row) for row in rows), key=lambda account: account.unit)
        finally:
            await connection.close(timeout=5)
