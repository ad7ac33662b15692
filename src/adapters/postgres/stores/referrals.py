"""Edges and the leaderboard on PostgreSQL."""

from collections.abc import Collection, Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.referrals import Edge, Edges, Leader, Leaderboard
from tallystick.domain.users import UserId

_SQL = Statements.load("referrals")


class PostgresEdges(Edges):
    """Rows of `referral_edges`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, invitee_ids: Collection[UserId]) -> dict[UserId, Edge]:
        rows = await self._connection.fetch(_SQL.find, list(invitee_ids))
        return {row["invitee_id"]: Edge(*row) for row in rows}

    async def inviters_above(self, user_ids: Collection[UserId], *, steps: int) -> dict[UserId, UserId]:
        rows = await self._connection.fetch(_SQL.inviters_above, list(user_ids), steps)
        return {row["invitee_id"]: row["inviter_id"] for row in rows}

    async def record(self, edges: Sequence[Edge]) -> None:
        await self._connection.execute(
            _SQL.record,
            [edge.invitee_id for edge in edges],
            [edge.inviter_id for edge in edges],
            [edge.code for edge in edges],
            [edge.arrival_id for edge in edges],
            [edge.created_at for edge in edges],
        )


class PostgresLeaderboard(Leaderboard):
    """Living users by `users.referrals`, read from its index."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def leaders(self, *, after: tuple[int, UserId] | None, limit: int) -> list[Leader]:
        if after is None:
            rows = await self._connection.fetch(_SQL.leaders, limit)
        else:
            rows = await self._connection.fetch(_SQL.leaders_after, *after, limit)
        return [Leader(*row) for row in rows]

    async def most_connected(self, limit: int) -> list[tuple[UserId, int]]:
        rows = await self._connection.fetch(_SQL.most_connected, limit)
        return [(user_id, referrals) for user_id, referrals in rows]
