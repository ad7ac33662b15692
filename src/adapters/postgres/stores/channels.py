"""Channels and their members on PostgreSQL."""

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.channels import Channel, ChannelId, Channels, ChannelState, Member, MemberKey
from tallystick.domain.users import UserId

_SQL = Statements.load("channels")


class PostgresChannels(Channels):
    """Rows of `channels` and `channel_members`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, channel: Channel) -> None:
        await self._connection.execute(_SQL.add, channel.channel_id, channel.owner_id, channel.name, channel.created_at)

    async def find(self, channel_ids: Collection[ChannelId]) -> dict[ChannelId, Channel]:
        rows = await self._connection.fetch(_SQL.find, list(channel_ids))
        return {row["channel_id"]: Channel(*row) for row in rows}

    async def members(self, keys: Collection[MemberKey]) -> dict[MemberKey, Member]:
        rows = await self._connection.fetch(
            _SQL.members, [key.channel_id for key in keys], [key.user_id for key in keys]
        )
        return {MemberKey(row["channel_id"], row["user_id"]): Member(*row) for row in rows}

    async def owners(self, channel_ids: Collection[ChannelId]) -> dict[ChannelId, set[UserId]]:
        owners: dict[ChannelId, set[UserId]] = defaultdict(set)
        for channel_id, user_id in await self._connection.fetch(_SQL.owners, list(channel_ids)):
            owners[channel_id].add(user_id)
        return owners

    async def member_counts(self, channel_ids: Collection[ChannelId], *, up_to: int) -> dict[ChannelId, int]:
        rows = await self._connection.fetch(_SQL.member_counts, list(channel_ids), up_to)
        return {row["channel_id"]: row["count"] for row in rows}

    async def store_members(self, members: Sequence[Member]) -> None:
        rows = [
            (each.channel_id, each.user_id, each.role, each.joined_seq, each.left_seq, each.read_seq)
            for each in members
        ]
        await self._connection.execute(_SQL.store_members, *zip(*rows, strict=True))

    async def mark_read(self, markers: Mapping[MemberKey, int]) -> dict[MemberKey, Member]:
        rows = await self._connection.fetch(
            _SQL.mark_read, [key.channel_id for key in markers], [key.user_id for key in markers], [*markers.values()]
        )
        return {MemberKey(row["channel_id"], row["user_id"]): Member(*row) for row in rows}

    async def page(self, user_id: UserId, *, before: ChannelId | None, limit: int) -> list[ChannelState]:
        return [ChannelState(*row) for row in await self._connection.fetch(_SQL.page, user_id, before, limit)]

    async def members_page(self, channel_id: ChannelId, *, after: UserId | None, limit: int) -> list[Member]:
        rows = await self._connection.fetch(_SQL.members_page, channel_id, after or "", limit)
        return [Member(*row) for row in rows]

    async def channels_of(self, user_id: UserId, *, after: str, limit: int) -> list[ChannelId]:
        return [row["channel_id"] for row in await self._connection.fetch(_SQL.channels_of, user_id, after, limit)]
