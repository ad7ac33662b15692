"""The mirror of the legacy metadata on PostgreSQL."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.legacy_metadata import MetadataMirror, MirrorDrift
from tallystick.domain.users import UserId

_SQL = Statements.load("metadata_mirror")


class PostgresMetadataMirror(MetadataMirror):
    """Rows of `metadata_mirror`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def users(self, *, after: UserId, limit: int) -> list[UserId]:
        return [row["user_id"] for row in await self._connection.fetch(_SQL.users, after, limit)]

    async def drift(self, user_ids: Collection[UserId]) -> dict[UserId, MirrorDrift]:
        rows = await self._connection.fetch(_SQL.drift, list(user_ids))
        return {row["user_id"]: row["kind"] for row in rows}

    async def write(self, user_ids: Collection[UserId], at: datetime) -> None:
        await self._connection.execute(_SQL.write, list(user_ids), at)

    async def erase(self, user_ids: Collection[UserId]) -> None:
        await self._connection.execute(_SQL.erase, list(user_ids))
