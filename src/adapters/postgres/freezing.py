"""Freezing of accounts by the owner of the schema, with a grant that lasts one transaction."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.ledger import Account, Unit
from tallystick.domain.users import UserId

_SQL = Statements.load("freezing")

_GRANT = f"GRANT UPDATE (frozen_at) ON tallystick.ledger_accounts TO {SERVICE_ROLE}"
_REVOKE = f"REVOKE UPDATE (frozen_at) ON tallystick.ledger_accounts FROM {SERVICE_ROLE}"


class AccountFreezing:
    """Freezes and unfreezes accounts; transactions that wait for their rows see the change."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    async def freeze(self, user_id: UserId, units: Sequence[Unit], at: datetime) -> list[Account]:
        """Freeze a user's accounts, opening those that do not exist, and return them; none for an unknown user.

        An account that is frozen already keeps its time.
        """
        return await self._run(_SQL.freeze, user_id, list(units), at)

    async def thaw(self, user_id: UserId, units: Sequence[Unit]) -> list[Account]:
        """Unfreeze a user's accounts, and return those that exist."""
        return await self._run(_SQL.thaw, user_id, list(units))

    async def _run(self, statement: str, *arguments: object) -> list[Account]:
        async with (
            owner_session(self._dsn, name="freeze") as connection,
            temporary_grant(connection, grant=_GRANT, revoke=_REVOKE),
        ):
            rows = await connection.fetch(statement, *arguments)
        return sorted((Account(*row) for row in rows), key=lambda account: account.unit)
