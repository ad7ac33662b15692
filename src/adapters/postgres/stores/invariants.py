"""The invariants on PostgreSQL: the rows that break them, counted and named."""

import re
from collections.abc import Mapping, Sequence

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.visibility import read_visibility
from tallystick.application.invariants import PROMISES, Invariant, Invariants

_SQL = Statements.load("invariants")
"""One statement for each promise: the keys of the rows that break it. Each reads whole tables."""

TABLES: Mapping[str, frozenset[str]] = {name: frozenset(re.findall(r"tallystick\.(\w+)", sql)) for name, sql in _SQL}
"""The tables that each promise is about."""


class PostgresInvariants(Invariants):
    """The statements of the promises, one after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def count(self, *, seconds_each: float | None = None) -> Sequence[Invariant]:
        visibility = await read_visibility(self._connection)
        statements = dict(_SQL)
        return [
            Invariant.judged(
                name,
                await self._violations(statements[name], seconds_each),
                has_rows=not visibility.filled.isdisjoint(TABLES[name]),
                is_hidden=not visibility.hidden.isdisjoint(TABLES[name]),
            )
            for name in PROMISES
        ]

    async def broken_rows(self, name: str, *, after: str = "", limit: int) -> list[str]:
        broken = f"({dict(_SQL)[name]}) AS broken WHERE key > $1::text"
        rows = await self._connection.fetch(
            f"SELECT key FROM {broken} ORDER BY key LIMIT $2",  # noqa: S608  of the file
            after,
            limit,
        )
        return [row["key"] for row in rows]

    async def _violations(self, statement: str, seconds: float | None) -> int | None:
        """Return the number of violations; None where it takes longer than these seconds."""
        counting = f"SELECT count(*) FROM ({statement}) AS broken"  # noqa: S608  of the file
        if seconds is None:
            return int(await self._connection.fetchval(counting))
        milliseconds = int(seconds * 1000)
        await self._connection.execute(
            f"SAVEPOINT counted; SET LOCAL statement_timeout = {milliseconds}; "
            # One processor at most: requests need the others.
            "SET LOCAL max_parallel_workers_per_gather = 0"
        )
        try:
            violations = int(await self._connection.fetchval(counting))
        except asyncpg.QueryCanceledError:
            await self._connection.execute("ROLLBACK TO SAVEPOINT counted")  # the snapshot stays
            return None
        await self._connection.execute("RELEASE SAVEPOINT counted")
        return violations
