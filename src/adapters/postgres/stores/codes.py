"""The code book on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.erasures import last_key
from tallystick.domain.codes import Code, CodeEntry, ReferralCodes
from tallystick.domain.users import UserId

_SQL = Statements.load("codes")


class PostgresReferralCodes(ReferralCodes):
    """Rows of `referral_codes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def canonical(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        rows = await self._connection.fetch(_SQL.canonical, list(user_ids))
        return {row["user_id"]: row["code"] for row in rows}

    async def resolve(self, codes: Collection[str]) -> dict[str, CodeEntry]:
        rows = await self._connection.fetch(_SQL.resolve, list(codes))
        return {row["code"]: CodeEntry(*row) for row in rows}

    async def newest_aliases(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        rows = await self._connection.fetch(_SQL.newest_aliases, list(user_ids))
        return {row["user_id"]: row["code"] for row in rows}

    async def assign(self, entries: Sequence[CodeEntry]) -> set[UserId]:
        if not entries:
            return set()
        rows = await self._connection.fetch(
            _SQL.assign, [entry.code for entry in entries], [entry.user_id for entry in entries], entries[0].created_at
        )
        return {row["user_id"] for row in rows}

    async def demote(self, user_ids: Collection[UserId], at: datetime) -> None:
        await self._connection.execute(_SQL.demote, list(user_ids), at)

    async def retire(self, user_ids: Collection[UserId], at: datetime) -> None:
        await self._connection.execute(_SQL.retire, list(user_ids), at)

    async def retire_aliases(self, user_id: UserId, at: datetime, *, after: str, limit: int) -> str | None:
        return last_key(await self._connection.fetchrow(_SQL.retire_aliases, user_id, at, after, limit), limit)
