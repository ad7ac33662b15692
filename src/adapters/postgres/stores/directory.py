"""Credentials on PostgreSQL."""

from collections.abc import Collection, Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.identity import Credentials, IdentityDirectory
from tallystick.domain.users import UserId, email_key

_SQL = Statements.load("directory")


class PostgresIdentityDirectory(IdentityDirectory):
    """Rows of `credentials`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        rows = await self._connection.fetch(_SQL.find, list(user_ids))
        return {row["user_id"]: Credentials(*row) for row in rows}

    async def by_email(self, email: str) -> Credentials | None:
        row = await self._connection.fetchrow(_SQL.by_email, email_key(email))
        return Credentials(*row) if row is not None else None

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Credentials]:
        rows = await self._connection.fetch(_SQL.lock, list(user_ids))
        return {row["user_id"]: Credentials(*row) for row in rows}

    async def replace(self, credentials: Sequence[Credentials]) -> None:
        if credentials:
            await self._connection.execute(
                _SQL.replace, [each.user_id for each in credentials], [each.password_hash for each in credentials]
            )

    async def forget(self, user_ids: Collection[UserId]) -> None:
        await self._connection.execute(_SQL.forget, list(user_ids))

    async def enrol(self, credentials: Sequence[Credentials]) -> None:
        await self._connection.execute(
            _SQL.enrol,
            [each.user_id for each in credentials],
            [each.password_hash for each in credentials],
            [each.created_at for each in credentials],
        )
