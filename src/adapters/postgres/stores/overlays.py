"""Overlays on PostgreSQL."""

from collections.abc import Collection, Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.overlays import Overlay, Overlays, OverlaySessionId, ShownOverlay
from tallystick.domain.users import UserId

_SQL = Statements.load("overlays")


class PostgresOverlays(Overlays):
    """Rows of `session_overlays`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, session_ids: Collection[OverlaySessionId]) -> dict[OverlaySessionId, Overlay]:
        rows = await self._connection.fetch(_SQL.lock, list(session_ids))
        return {row["session_id"]: Overlay(*row) for row in rows}

    async def claim_ended(self, *, limit: int) -> list[Overlay]:
        return [Overlay(*row) for row in await self._connection.fetch(_SQL.claim_ended, limit)]

    async def add(self, overlays: Sequence[Overlay]) -> None:
        await self._connection.execute(_SQL.add, *_columns(overlays))

    async def replace(self, overlays: Sequence[Overlay]) -> None:
        await self._connection.execute(_SQL.replace, *_columns(overlays))

    async def shown(self, session_ids: Collection[OverlaySessionId]) -> dict[OverlaySessionId, ShownOverlay]:
        rows = await self._connection.fetch(_SQL.shown, list(session_ids))
        return {row["session_id"]: ShownOverlay(*row) for row in rows}

    async def milliseconds_to_next_end(self) -> int | None:
        rows = await self._connection.fetch(_SQL.to_next_end)
        milliseconds: int | None = rows[0]["milliseconds"]
        return milliseconds

    async def of_owner(self, owner_id: UserId, *, after: str, limit: int) -> list[OverlaySessionId]:
        return [row["session_id"] for row in await self._connection.fetch(_SQL.of_owner, owner_id, after, limit)]


def _columns(overlays: Sequence[Overlay]) -> list[list[object]]:
    return [
        [each.session_id for each in overlays],
        [each.owner_id for each in overlays],
        [each.version for each in overlays],
        [each.payload for each in overlays],
        [each.expires_at for each in overlays],
    ]
