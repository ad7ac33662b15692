"""The writes of a chunk of a backfill, in set-based statements over the staged users and codes."""

from collections.abc import Mapping
from datetime import datetime

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.backfill_ports import CodelessUser, ImportedPoints, Imports, WrittenUsers
from tallystick.domain.backfill import Chunk
from tallystick.domain.codes import Code
from tallystick.domain.users import UserId

_SQL = Statements.load("backfill_apply")


class PostgresImports(Imports):
    """Rows of the served tables, each under the number of its run."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def users(self, chunk: Chunk, at: datetime) -> WrittenUsers:
        """Assume that all users are new; where one is not, write the chunk again beside those who are here."""
        try:
            async with self._connection.transaction():  # a savepoint
                users, kept = await self._write_new(chunk, at)
        except asyncpg.UniqueViolationError:
            users, kept = await self._write_beside_others(chunk, at)
            return WrittenUsers(users, kept, is_complete=False)
        claims = await self._connection.fetchval(_SQL.claims, *chunk)
        return WrittenUsers(users, kept, is_complete=users == kept == claims)

    async def _write_new(self, chunk: Chunk, at: datetime) -> tuple[int, int]:
        users = rows_of(await self._connection.execute(_SQL.admit_new, *chunk, at))
        await self._connection.execute(_SQL.verify_phones, *chunk, at)
        return users, rows_of(await self._connection.execute(_SQL.keep_new, *chunk, at))

    async def _write_beside_others(self, chunk: Chunk, at: datetime) -> tuple[int, int]:
        users = rows_of(await self._connection.execute(_SQL.admit, *chunk, at))
        await self._connection.execute(_SQL.lock, *chunk)
        await self._connection.execute(_SQL.verify_phones, *chunk, at)
        return users, rows_of(await self._connection.execute(_SQL.keep, *chunk, at))

    async def without_code(self, chunk: Chunk) -> list[CodelessUser]:
        rows = await self._connection.fetch(_SQL.without_code, *chunk)
        return [CodelessUser(row["user_id"], row["has_lost_one"]) for row in rows]

    async def assign(self, run: int, codes: Mapping[UserId, Code], at: datetime) -> set[UserId]:
        rows = await self._connection.fetch(_SQL.assign, run, list(codes.values()), list(codes), at)
        return {row["user_id"] for row in rows}

    async def aliases(self, chunk: Chunk, at: datetime) -> int:
        return rows_of(await self._connection.execute(_SQL.alias, *chunk, at))

    async def conflicts(self, chunk: Chunk, at: datetime) -> int:
        return rows_of(await self._connection.execute(_SQL.note_conflicts, *chunk, at))

    async def edges(self, chunk: Chunk, at: datetime) -> tuple[int, list[int]]:
        wanted = await self._connection.fetchval(_SQL.edges_wanted, *chunk)
        if not wanted:
            return 0, []
        await self._connection.execute(_SQL.lock_pairs, *chunk)
        edges: int = await self._connection.fetchval(_SQL.connect, *chunk, at)
        left_out = await self._connection.fetch(_SQL.not_connected, *chunk) if edges < wanted else []
        return edges, [row["position"] for row in left_out]

    async def points(self, chunk: Chunk) -> list[ImportedPoints]:
        rows = await self._connection.fetch(_SQL.points, *chunk)
        return [ImportedPoints(row["position"], row["user_id"], row["points"]) for row in rows]


def rows_of(status: str) -> int:
    """Return the number of rows that a statement wrote, from the server's status such as `INSERT 0 3`."""
    return int(status.rpartition(" ")[2])
