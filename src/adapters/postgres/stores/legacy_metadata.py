"""Legacy metadata on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.codes import Code
from tallystick.domain.legacy_metadata import Claim, LegacyMetadata
from tallystick.domain.users import UserId

_SQL = Statements.load("legacy_metadata")


class PostgresLegacyMetadata(LegacyMetadata):
    """Rows of `legacy_users` and `legacy_codes`, which backfill runs staged."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def resolve(self, codes: Collection[str]) -> dict[str, Claim]:
        rows = await self._connection.fetch(_SQL.resolve, list(codes))
        return {row["code"]: Claim(*row) for row in rows}

    async def codes_of(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        rows = await self._connection.fetch(_SQL.codes_of, list(user_ids))
        return {row["user_id"]: row["code"] for row in rows}

    async def hold(self) -> None:
        await self._connection.execute(_SQL.hold)

    async def claims_of(self, user_ids: Collection[UserId]) -> dict[UserId, list[Claim]]:
        claims: dict[UserId, list[Claim]] = {}
        for row in await self._connection.fetch(_SQL.claims_of, list(user_ids)):
            claims.setdefault(row["user_id"], []).append(Claim(*row))
        return claims

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> None:
        await self._connection.execute(_SQL.admit, list(user_ids), at)

    async def adopt(self, claims: Sequence[Claim]) -> set[Code]:
        rows = await self._connection.fetch(
            _SQL.adopt,
            [claim.code for claim in claims],
            [claim.user_id for claim in claims],
            [claim.is_canonical for claim in claims],
            [claim.created_at for claim in claims],
            [claim.run for claim in claims],
        )
        return {row["code"] for row in rows}

    async def forget(self, user_ids: Collection[UserId]) -> None:
        await self._connection.execute(_SQL.forget, list(user_ids))
