"""Holdings on PostgreSQL."""

import hashlib
from collections.abc import Collection

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.bounds import CountedName, Holdings
from tallystick.domain.users import UserId

_SQL = Statements.load("holdings")


class PostgresHoldings(Holdings):
    """Numbers of rows that users have, counted by the statement with the name of the count."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, user_ids: Collection[UserId]) -> None:
        await self._connection.fetch(_SQL.lock, sorted({_lock_id(user_id) for user_id in user_ids}))

    async def count(self, name: CountedName, user_ids: Collection[UserId], *, up_to: int) -> dict[UserId, int]:
        rows = await self._connection.fetch(getattr(_SQL, name), list(user_ids), up_to)
        return {row["user_id"]: row["count"] for row in rows}


def _lock_id(user_id: UserId) -> int:
    """Return the id of a user's advisory lock; two users with the same id only wait for each other."""
    return int.from_bytes(hashlib.sha256(f"holdings\x00{user_id}".encode()).digest()[:8], "big", signed=True)
