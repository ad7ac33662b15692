"""Rating slips on PostgreSQL."""

from collections.abc import Collection, Sequence

import asyncpg
import msgspec

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.rating_slips import RatingSlips, Slip, SlipId, SlipState
from tallystick.domain.times import bounded

_SQL = Statements.load("rating_slips")
_AFTER_ALL = "~"
"""A text after all ids."""


class PostgresRatingSlips(RatingSlips):
    """Rows of `rating_slips`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, slips: Sequence[Slip]) -> None:
        if slips:
            await self._connection.execute(
                _SQL.add,
                [slip.slip_id for slip in slips],
                [slip.player_id for slip in slips],
                [slip.game for slip in slips],
                [slip.average_bet for slip in slips],
                [slip.decisions_per_hour for slip in slips],
                [slip.house_edge_bp for slip in slips],
                [slip.points_per_100 for slip in slips],
                [slip.opened_at for slip in slips],
            )

    async def find(self, slip_ids: Collection[SlipId]) -> dict[SlipId, Slip]:
        return {row["slip_id"]: _slip(row) for row in await self._connection.fetch(_SQL.find, list(slip_ids))}

    async def lock(self, slip_ids: Collection[SlipId]) -> dict[SlipId, Slip]:
        return {row["slip_id"]: _slip(row) for row in await self._connection.fetch(_SQL.lock, list(slip_ids))}

    async def store(self, slips: Sequence[Slip]) -> None:
        await self._connection.execute(
            _SQL.store,
            [slip.slip_id for slip in slips],
            [slip.average_bet for slip in slips],
            [slip.state for slip in slips],
            [slip.closed_at for slip in slips],
            [slip.points for slip in slips],
            [slip.completed_at for slip in slips],
            [slip.correlation_id for slip in slips],
            [slip.account_version for slip in slips],
        )

    async def page(self, *, state: SlipState | None, before: SlipId | None, limit: int) -> list[Slip]:
        end = before if before is not None else _AFTER_ALL
        if state is None:
            rows = await self._connection.fetch(_SQL.page, end, limit)
        else:
            rows = await self._connection.fetch(_SQL.page_of_state, state, end, limit)
        return [_slip(row) for row in rows]


def _slip(row: asyncpg.Record) -> Slip:
    slip = Slip(*row)
    if slip.opened_at.tzinfo is not None and (slip.closed_at is None or slip.closed_at.tzinfo is not None):
        return slip
    closed_at = bounded(slip.closed_at) if slip.closed_at is not None else None
    return msgspec.structs.replace(slip, opened_at=bounded(slip.opened_at), closed_at=closed_at)
