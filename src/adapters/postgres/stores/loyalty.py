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
        return {PlayerDay(user_id, begins_at): credited for user_id, begins_at, credited in rows}


def _by_id(rows: Sequence[asyncpg.Record]) -> dict[UserId, Player]:
    players: dict[UserId, Player] = {}
    for user_id, is_deleted, unit, balance, version, lifetime, updated_at, frozen_at in rows:
        account = None
        if unit is not None:
            account = Account(user_id, unit, balance, version, lifetime, updated_at, frozen_at)
        players[user_id] = Player(user_id, is_deleted, account)
    return players
