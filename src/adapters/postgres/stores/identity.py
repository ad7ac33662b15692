"""Phone verifications on PostgreSQL."""

from collections.abc import Collection, Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.identity import Verification, Verifications
from tallystick.domain.users import UserId

_SQL = Statements.load("identity")


class PostgresVerifications(Verifications):
    """Rows of `phone_verifications`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def verified(self, user_ids: Collection[UserId]) -> set[UserId]:
        return {row["user_id"] for row in await self._connection.fetch(_SQL.verified, list(user_ids))}

    async def record(self, verifications: Sequence[Verification]) -> None:
        await self._connection.execute(
            _SQL.record,
            [verification.user_id for verification in verifications],
            [verification.source for verification in verifications],
            [verification.verified_at for verification in verifications],
        )
