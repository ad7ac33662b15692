"""Codes that attributed nothing, on PostgreSQL."""

from collections.abc import Collection

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.referrals import AttributionAttempt, AttributionAttempts
from tallystick.domain.users import UserId

_SQL = Statements.load("attribution_attempts")


class PostgresAttributionAttempts(AttributionAttempts):
    """Rows of `attribution_attempts`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def record(self, attempts: Collection[AttributionAttempt], *, keep: int) -> None:
        user_ids = [attempt.user_id for attempt in attempts]
        await self._connection.execute(
            _SQL.record,
            user_ids,
            [attempt.code_digest for attempt in attempts],
            [attempt.reason for attempt in attempts],
            [attempt.attempted_at for attempt in attempts],
        )
        await self._connection.execute(_SQL.trim, list(set(user_ids)), keep)

    async def of(self, user_id: UserId) -> list[AttributionAttempt]:
        return [AttributionAttempt(*row) for row in await self._connection.fetch(_SQL.of_user, user_id)]

    async def forget(self, user_ids: Collection[UserId]) -> None:
        await self._connection.execute(_SQL.forget, list(user_ids))
