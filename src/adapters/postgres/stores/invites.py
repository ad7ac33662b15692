"""Invites on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

import asyncpg
import msgspec

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.codes import Code
from tallystick.domain.invites import Invite, InviteId, Invites, InviteUse, SeatKey
from tallystick.domain.times import bounded
from tallystick.domain.users import UserId

_SQL = Statements.load("invites")


class PostgresInvites(Invites):
    """Rows of `invites` and `invite_uses`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, invite: Invite) -> bool:
        await self._connection.execute(
            _SQL.add,
            invite.code,
            invite.invite_id,
            invite.owner_id,
            invite.max_uses,
            invite.expires_at,
            invite.created_at,
        )
        held = (await self.by_code([invite.code])).get(invite.code)
        return held is not None and held.invite_id == invite.invite_id

    async def find(self, invite_id: InviteId) -> Invite | None:
        row = await self._connection.fetchrow(_SQL.find, invite_id)
        return _invite(row) if row is not None else None

    async def by_code(self, codes: Collection[Code]) -> dict[Code, Invite]:
        return {row["code"]: _invite(row) for row in await self._connection.fetch(_SQL.by_code, list(codes))}

    async def lock(self, codes: Collection[Code]) -> dict[Code, Invite]:
        return {row["code"]: _invite(row) for row in await self._connection.fetch(_SQL.lock, list(codes))}

    async def store(self, invites: Sequence[Invite]) -> None:
        await self._connection.execute(
            _SQL.store,
            [invite.code for invite in invites],
            [invite.current_uses for invite in invites],
            [invite.revoked_at for invite in invites],
        )

    async def seats(
        self, keys: Collection[SeatKey], user_ids: Collection[UserId]
    ) -> tuple[dict[SeatKey, InviteUse], set[UserId]]:
        rows = await self._connection.fetch(
            _SQL.seats, [key.invite_id for key in keys], [key.user_id for key in keys], list(user_ids)
        )
        seats: dict[SeatKey, InviteUse] = {}
        deleted: set[UserId] = set()
        for invite_id, user_id, attempt_id, used_at in rows:
            if invite_id is None:
                deleted.add(user_id)
            else:
                seats[SeatKey(invite_id, user_id)] = InviteUse(invite_id, user_id, attempt_id, used_at)
        return seats, deleted

    async def record_uses(self, uses: Sequence[InviteUse]) -> None:
        await self._connection.execute(
            _SQL.record_uses,
            [use.invite_id for use in uses],
            [use.user_id for use in uses],
            [use.attempt_id for use in uses],
            [use.used_at for use in uses],
        )

    async def uses_of(
        self, invite_id: InviteId, *, after: tuple[datetime, UserId] | None, limit: int
    ) -> list[InviteUse]:
        if after is None:
            rows = await self._connection.fetch(_SQL.uses_of, invite_id, limit)
        else:
            rows = await self._connection.fetch(_SQL.uses_of_after, invite_id, *after, limit)
        return [InviteUse(*row) for row in rows]


def _invite(row: asyncpg.Record) -> Invite:
    invite = Invite(*row)
    if invite.expires_at is None or invite.expires_at.tzinfo is not None:
        return invite
    return msgspec.structs.replace(invite, expires_at=bounded(invite.expires_at))
