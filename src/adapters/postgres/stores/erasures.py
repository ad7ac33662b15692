"""Erasures on PostgreSQL."""

from collections.abc import Collection
from datetime import datetime

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.erasures import ErasureBacklog, Erasures
from tallystick.domain.rewards import RewardId
from tallystick.domain.users import UserId

_SQL = Statements.load("erasures")


class PostgresErasures(Erasures):
    """The column `erasing_since` of `users`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def begin(self, user_ids: Collection[UserId], at: datetime) -> None:
        await self._connection.execute(_SQL.begin, list(user_ids), at)

    async def lock(self, user_id: UserId) -> bool:
        return await self._connection.fetchrow(_SQL.lock, user_id) is not None

    async def end(self, user_id: UserId) -> None:
        await self._connection.execute(_SQL.finish, user_id)

    async def waiting(self, *, after: UserId, limit: int) -> list[UserId]:
        return [row["user_id"] for row in await self._connection.fetch(_SQL.waiting, after, limit)]

    async def left_behind(self, user_ids: Collection[UserId], *, newest: RewardId) -> set[UserId]:
        rows = await self._connection.fetch(_SQL.left_behind, list(user_ids), newest)
        return {row["user_id"] for row in rows}

    async def backlog(self) -> ErasureBacklog:
        row = await self._connection.fetchrow(_SQL.backlog)
        if row is None:
            raise AssertionError("an aggregate without GROUP BY returns a row")
        return ErasureBacklog(row["waiting"], row["oldest_since"])


def last_key(page: asyncpg.Record | None, limit: int) -> str | None:
    """Return the last key of a page with the columns `rows` and `last`; None where it was the last page."""
    if page is None:
        raise AssertionError("an aggregate without GROUP BY returns a row")
    last: str | None = page["last"]
    return last if page["rows"] == limit else None
