"""Sessions on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.sessions import Session, SessionKey, Sessions
from tallystick.domain.users import UserId

_SQL = Statements.load("sessions")


class PostgresSessions(Sessions):
    """Rows of `sessions`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, user_ids: Collection[UserId]) -> list[Session]:
        return [Session(*row) for row in await self._connection.fetch(_SQL.find, list(user_ids))]

    async def living(self, keys: Collection[SessionKey]) -> set[SessionKey]:
        return {SessionKey(*row) for row in await self._connection.fetch(_SQL.living, *_columns(keys))}

    async def start(self, sessions: Sequence[Session]) -> None:
        if sessions:
            await self._connection.execute(
                _SQL.start,
                *_columns([session.key for session in sessions]),
                [session.created_at for session in sessions],
                [session.expires_at for session in sessions],
            )

    async def end(self, keys: Collection[SessionKey]) -> None:
        if keys:
            await self._connection.execute(_SQL.end_all, *_columns(keys))

    async def forget(self, *, before: datetime, limit: int) -> int:
        return int((await self._connection.execute(_SQL.forget, before, limit)).removeprefix("DELETE "))


def _columns(keys: Collection[SessionKey]) -> tuple[list[str], list[str]]:
    return [key.user_id for key in keys], [key.session_id for key in keys]
