"""Clicked codes on PostgreSQL."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.clicks import ClickedCodes
from tallystick.domain.codes import Code

_SQL = Statements.load("clicks")


class PostgresClickedCodes(ClickedCodes):
    """Rows of `clicked_codes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def keep(self, codes: Collection[Code], at: datetime) -> set[Code]:
        return {row["code"] for row in await self._connection.fetch(_SQL.keep, list(codes), at)}
