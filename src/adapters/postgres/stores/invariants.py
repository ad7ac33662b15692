"""The invariants on PostgreSQL: counts of the rows that break them."""

from collections.abc import Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.invariants import PROMISES, Invariant, Invariants

_SQL = Statements.load("invariants")


class PostgresInvariants(Invariants):
    """One statement for each invariant; each reads whole tables."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def count(self) -> Sequence[Invariant]:
        counts = {name: await self._connection.fetchval(sql) for name, sql in _SQL}
        return [Invariant(name, promise, counts[name]) for name, promise in PROMISES.items()]
