"""Players on PostgreSQL."""

from collections.abc import Collection

from adapters.postgres.database import Connection
from adapters.postgres.statements import Statements
from domain.ledger import Account
from domain.loyalty import Player
from domain.users import UserId

_SQL = Statements.load("loyalty")


class PostgresPlayers:
    """Rows of `users` with their accounts of points."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        return {
            row["player_id"]: Player(row["player_id"], row["is_deleted"], Account(*row[2:]) if row[2] else None)
            for row in await self._connection.fetch(_SQL.find, list(user_ids))
        }
