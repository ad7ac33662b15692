"""Freezing of accounts: by the owner of the schema alone, with a right that the service holds for one transaction."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.ledger import Account, Unit
from tallystick.domain.users import UserId

_SQL = Statements.load("freezing")

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
        async with (
            owner_session(self._dsn, name="freeze") as connection,
            temporary_grant(connection, give=_GIVE, take_back=_TAKE_BACK),
        ):
            rows = await connection.fetch(statement, *arguments)
        return sorted((Account(*row) for row in rows), key=lambda account: account.unit)
