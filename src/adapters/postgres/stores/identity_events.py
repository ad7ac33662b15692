"""Webhook deliveries on PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.identity_events import Deliveries, IdentityEvent

_SQL = Statements.load("identity_events")


class PostgresDeliveries(Deliveries):
    """Rows of `webhook_deliveries`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def claim(self, events: Sequence[IdentityEvent]) -> set[str]:
        rows = await self._connection.fetch(
            _SQL.claim,
            [event.delivery_id for event in events],
            [event.kind for event in events],
            [event.received_at for event in events],
        )
        return {row["delivery_id"] for row in rows}

    async def forget(self, *, before: datetime, limit: int) -> int:
        return int((await self._connection.execute(_SQL.forget, before, limit)).removeprefix("DELETE "))
