"""Summaries of users on PostgreSQL."""

from collections.abc import Collection

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.users import user_from
from tallystick.domain.user_summaries import UserSummaries, UserSummary
from tallystick.domain.users import UserId, email_key

_SQL = Statements.load("user_summaries")


class PostgresUserSummaries(UserSummaries):
    """Rows of several tables, joined by the user's id."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def of(self, user_ids: Collection[UserId]) -> dict[UserId, UserSummary]:
        return {row["user_id"]: _summary(row) for row in await self._connection.fetch(_SQL.of, list(user_ids))}

    async def by_email(self, email: str) -> UserSummary | None:
        row = await self._connection.fetchrow(_SQL.by_email, email_key(email))
        return _summary(row) if row is not None else None


def _summary(row: asyncpg.Record) -> UserSummary:
    return UserSummary(
        user_from(row),
        row["code"],
        otp_verified=row["otp_verified"],
        referred=row["referred"],
        credits=row["credits"],
        points=row["points"],
        lifetime_points=row["lifetime_points"],
    )
