"""Passes over the promises on PostgreSQL."""

from collections.abc import Mapping
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.invariant_passes import InvariantPasses, Pass

_SQL = Statements.load("invariant_passes")


class PostgresInvariantPasses(InvariantPasses):
    """Rows of `invariant_passes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def all(self) -> Mapping[str, Pass]:
        return {row["promise"]: Pass(*row.values()) for row in await self._connection.fetch(_SQL.all)}

    async def put(self, current: Pass, *, instead_of: datetime) -> bool:
        values = (getattr(current, name) for name in Pass.__struct_fields__)
        return await self._connection.fetchval(_SQL.put, *values, instead_of) is not None

    async def reset(self, promise: str, *, at: datetime) -> None:
        await self._connection.execute(_SQL.reset, promise, at)
