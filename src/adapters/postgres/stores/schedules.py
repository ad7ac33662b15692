"""Schedules on PostgreSQL."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.schedules import Schedules

_SQL = Statements.load("schedules")


class PostgresSchedules(Schedules):
    """Rows of `schedules`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lease(self, name: str, *, now: datetime, until: datetime, due_at: datetime) -> bool:
        return bool(await self._connection.fetchval(_SQL.lease, name, now, until, due_at))

    async def renew(self, name: str, *, held_until: datetime, until: datetime) -> bool:
        return bool(await self._connection.fetch(_SQL.renew, name, held_until, until))

    async def successes(self, names: Collection[str]) -> dict[str, datetime]:
        rows = await self._connection.fetch(_SQL.successes, list(names))
        return {row["name"]: row["last_done_at"] for row in rows}

    async def done(self, name: str, *, held_until: datetime, at: datetime) -> bool:
        return bool(await self._connection.fetch(_SQL.done, name, held_until, at))
