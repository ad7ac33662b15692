"""Exports on PostgreSQL: each page reads a range of one index."""

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.exports import ROWS, ExportKind, ExportPosition, ExportRow, Exports

_SQL = Statements.load("exports")


class PostgresExports(Exports):
    """Rows of each kind, by the statement with the name of the kind."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def page(self, kind: ExportKind, *, after: ExportPosition, limit: int) -> list[ExportRow]:
        rows = await self._connection.fetch(getattr(_SQL, kind), *after, limit)
        return [ROWS[kind](*row) for row in rows]
