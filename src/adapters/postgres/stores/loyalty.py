"""Players on PostgreSQL."""

from collections.abc import Collection, Sequence

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.ledger import Account
from tallystick.domain.loyalty import Player, PlayerDay, Players
from tallystick.domain.users import UserId

_SQL = Statements.load("loyalty")


class PostgresPlayers(Players):
    """Rows of `users` with their accounts of points."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        return _by_id(await self._connection.fetch(_SQL.find, list(user_ids)))

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        return _by_id(await self._connection.fetch(_SQL.lock, list(user_ids)))

    async def referrals_credited(self, days: Collection[PlayerDay]) -> dict[PlayerDay, int]:
        rows = await self._connection.fetch(
            _SQL.referrals_credited, [day.player_id for day in days], [day.begins_at for day in days]
        )
        return {PlayerDay(row["user_id"], row["begins_at"]): row["credited"] for row in rows}


def _by_id(rows: Sequence[asyncpg.Record]) -> dict[UserId, Player]:
    return {row[0]: Player(row[0], row[1], Account(*row[2:]) if row[2] is not None else None) for row in rows}
