"""Pending accruals on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.ledger import EventKey
from tallystick.domain.loyalty import day_of
from tallystick.domain.pending_accruals import Backlog, PendingAccrual, PendingAccruals

_SQL = Statements.load("pending_accruals")


class PostgresPendingAccruals(PendingAccruals):
    """Rows of `pending_accruals`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, pending: Sequence[PendingAccrual]) -> None:
        await self._connection.execute(
            _SQL.add,
            [each.player_id for each in pending],
            [each.event_type for each in pending],
            [each.event_key for each in pending],
            [each.points for each in pending],
            [each.reason for each in pending],
            [each.staff_id for each in pending],
            [each.correlation_id for each in pending],
            [each.cause for each in pending],
            [each.created_at for each in pending],
            [each.tries for each in pending],
            [each.last_tried_at for each in pending],
        )

    async def lock(self, events: Collection[EventKey]) -> dict[EventKey, PendingAccrual]:
        found = [PendingAccrual(*row) for row in await self._connection.fetch(_SQL.lock, *_columns(events))]
        return {pending.event: pending for pending in found}

    async def store(self, pending: Sequence[PendingAccrual]) -> None:
        await self._connection.execute(
            _SQL.store,
            *_columns([each.event for each in pending]),
            [each.cause for each in pending],
            [each.tries for each in pending],
            [each.last_tried_at for each in pending],
        )

    async def remove(self, events: Collection[EventKey]) -> None:
        await self._connection.execute(_SQL.remove, *_columns(events))

    async def take_due(self, *, before: datetime, at: datetime, limit: int, needs_phone: bool) -> list[PendingAccrual]:
        rows = await self._connection.fetch(_SQL.take_due, before, at, limit, day_of(at), needs_phone)
        return [PendingAccrual(*row) for row in rows]

    async def page(self, *, after: tuple[datetime, EventKey] | None, limit: int) -> list[PendingAccrual]:
        if after is None:
            rows = await self._connection.fetch(_SQL.page, limit)
        else:
            created_at, event = after
            rows = await self._connection.fetch(
                _SQL.page_after, created_at, event.user_id, event.type, event.key, limit
            )
        return [PendingAccrual(*row) for row in rows]

    async def backlog(self) -> Backlog:
        row = await self._connection.fetchrow(_SQL.backlog)
        if row is None:
            raise AssertionError("an aggregate without GROUP BY returns a row")
        return Backlog(*row)


def _columns(events: Collection[EventKey]) -> tuple[list[str], list[str], list[str]]:
    return [event.user_id for event in events], [event.type for event in events], [event.key for event in events]
