"""Users on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.usernames import username_key
from tallystick.domain.users import Profile, User, UserId, Users, email_key

_SQL = Statements.load("users")


class PostgresUsers(Users):
    """Rows of `users`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        return _by_id(await self._connection.fetch(_SQL.lock, list(user_ids)))

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> set[UserId]:
        return {row["user_id"] for row in await self._connection.fetch(_SQL.admit, list(user_ids), at)}

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, User]:
        return _by_id(await self._connection.fetch(_SQL.find, list(user_ids)))

    async def deleted(self, user_ids: Collection[UserId]) -> set[UserId]:
        return {row["user_id"] for row in await self._connection.fetch(_SQL.deleted, list(user_ids))}

    async def deleted_since(self, *, after: tuple[datetime, UserId], limit: int) -> list[tuple[datetime, UserId]]:
        rows = await self._connection.fetch(_SQL.deleted_since, *after, limit)
        return [(deleted_at, user_id) for deleted_at, user_id in rows]

    async def named(self, user_ids: Collection[UserId]) -> set[UserId]:
        return {row["user_id"] for row in await self._connection.fetch(_SQL.named, list(user_ids))}

    async def holders(self, *, emails: Collection[str], usernames: Collection[str]) -> list[User]:
        email_keys, username_keys = [*map(email_key, emails)], [*map(username_key, usernames)]
        return [user_from(row) for row in await self._connection.fetch(_SQL.holders, email_keys, username_keys)]

    async def store(self, users: Sequence[User]) -> None:
        profiles = [user.profile for user in users]
        await self._connection.execute(
            _SQL.store,
            [user.user_id for user in users],
            [profile.email for profile in profiles],
            [email_key(profile.email) if profile.email is not None else None for profile in profiles],
            [profile.username for profile in profiles],
            [profile.display_name for profile in profiles],
            [profile.phone for profile in profiles],
            [user.profile_at for user in users],
            [user.referrals for user in users],
            [user.deleted_at for user in users],
            [user.email_proved_at for user in users],
            [user.username_proved_at for user in users],
            [user.username_key for user in users],
        )


def user_from(row: asyncpg.Record) -> User:
    """Return the user of a row whose first columns are the fields of a user."""
    return User(
        user_id=row["user_id"],
        created_at=row["created_at"],
        profile=Profile(row["email"], row["username"], row["display_name"], row["phone"]),
        profile_at=row["profile_at"],
        referrals=row["referrals"],
        deleted_at=row["deleted_at"],
        email_proved_at=row["email_proved_at"],
        username_proved_at=row["username_proved_at"],
        username_key=row["username_key"],
    )


def _by_id(rows: Sequence[asyncpg.Record]) -> dict[UserId, User]:
    return {row["user_id"]: user_from(row) for row in rows}
