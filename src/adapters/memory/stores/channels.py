"""Channels and their members in memory."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import msgspec

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.channels import (
    MOST_UNREAD,
    UNREAD_RANGE,
    Channel,
    ChannelId,
    Channels,
    ChannelState,
    Member,
    MemberKey,
)
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId


class MemoryChannels(Channels):
    """Channels and members of one view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, channel: Channel) -> None:
        self._view.require_writable()
        if TopicId(channel.channel_id) not in self._view.topics:
            raise ConstraintViolated("channels_topic_fkey")
        if channel.channel_id not in self._view.channels:
            self._view.channels.put(channel.channel_id, channel)

    async def find(self, channel_ids: Collection[ChannelId]) -> dict[ChannelId, Channel]:
        found = (self._view.channels.get(channel_id) for channel_id in channel_ids)
        return {channel.channel_id: channel for channel in found if channel}

    async def members(self, keys: Collection[MemberKey]) -> dict[MemberKey, Member]:
        found = ((key, self._view.members.get(key)) for key in keys)
        return {key: member for key, member in found if member}

    async def owners(self, channel_ids: Collection[ChannelId]) -> dict[ChannelId, set[UserId]]:
        owners: dict[ChannelId, set[UserId]] = {}
        for member in self._view.members.values():
            if member.channel_id in channel_ids and member.is_present and member.role == "owner":
                owners.setdefault(member.channel_id, set()).add(member.user_id)
        return owners

    async def member_counts(self, channel_ids: Collection[ChannelId], *, up_to: int) -> dict[ChannelId, int]:
        held = Counter(member.channel_id for member in self._view.members.values())
        return {channel_id: min(held[channel_id], up_to) for channel_id in channel_ids}

    async def store_members(self, members: Sequence[Member]) -> None:
        self._view.require_writable()
        for member in members:
            if member.channel_id not in self._view.channels:
                raise ConstraintViolated("channel_members_channel_fkey")
            if member.left_seq is not None and member.left_seq <= member.joined_seq:
                raise ConstraintViolated("channel_members_left_later")
            key = MemberKey(member.channel_id, member.user_id)
            held = self._view.members.get(key)
            read_seq = max(member.read_seq, held.read_seq if held else 0)
            self._view.members.put(key, msgspec.structs.replace(member, read_seq=read_seq))

    async def mark_read(self, markers: Mapping[MemberKey, int]) -> dict[MemberKey, Member]:
        self._view.require_writable()
        marked = {}
        for key, seq in markers.items():
            member, topic = self._view.members.get(key), self._view.topics.get(TopicId(key.channel_id))
            if member is not None and topic is not None and member.is_present:
                marked[key] = msgspec.structs.replace(member, read_seq=max(member.read_seq, min(seq, topic.head)))
                self._view.members.put(key, marked[key])
        return marked

    async def page(self, user_id: UserId, *, before: ChannelId | None, limit: int) -> list[ChannelState]:
        own = [member for member in self._view.members.values() if member.user_id == user_id and member.is_present]
        own = [member for member in own if before is None or member.channel_id < before]
        own.sort(key=lambda member: member.channel_id, reverse=True)
        return [self._state(member) for member in own[:limit]]

    def _state(self, member: Member) -> ChannelState:
        channel = self._view.channels.get(member.channel_id)
        topic = self._view.topics.get(TopicId(member.channel_id))
        if channel is None or topic is None:
            raise ConstraintViolated("channel_members_channel_fkey")
        above = [
            message
            for message in self._view.messages.values()
            if message.channel_id == member.channel_id and message.seq > member.read_seq
        ]
        above.sort(key=lambda message: message.seq)
        unread = sum(message.deleted_at is None for message in above[:UNREAD_RANGE])
        return ChannelState(
            channel.channel_id,
            channel.name,
            channel.owner_id,
            topic.head,
            channel.created_at,
            member.role,
            member.read_seq,
            min(unread, MOST_UNREAD),
        )

    async def members_page(self, channel_id: ChannelId, *, after: UserId | None, limit: int) -> list[Member]:
        found = [
            member
            for member in self._view.members.values()
            if member.channel_id == channel_id and member.is_present and member.user_id > (after or "")
        ]
        return sorted(found, key=lambda member: member.user_id)[:limit]

    async def channels_of(self, user_id: UserId, *, after: str, limit: int) -> list[ChannelId]:
        found = [member.channel_id for member in self._view.members.values() if member.user_id == user_id]
        return sorted(channel_id for channel_id in found if channel_id > after)[:limit]
