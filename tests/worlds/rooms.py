"""Channels over one backend, in verbs and builders that name only what matters."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.application.channels import MakeChannels, NewChannel, ReadMessages, ReadUpTo
from tallystick.application.idempotency import Keyed
from tallystick.application.members import ChangeMembers, PlaceMember, RemoveMember
from tallystick.application.messages import DeleteMessage, DeleteMessages, NewMessage, SendMessages
from tallystick.application.topics import AnnounceTopics, announce_nothing
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.channels import Channel, ChannelId, ChannelState, Member, MemberKey, Role
from tallystick.domain.messages import Message, MessageId
from tallystick.domain.topics import TopicEvent, TopicId
from tallystick.domain.users import UserId
from tests.worlds.wallets import result
from tests.worlds.world import World


class Rooms:
    """Channels of a world, and the use cases over them."""

    def __init__(
        self, world: World, bounds: UserBounds = DEFAULT_BOUNDS, announce: AnnounceTopics = announce_nothing
    ) -> None:
        self.world = world
        self.make_channels = MakeChannels(world.transactions, world.once, world.randomness, bounds)
        self.change_members = ChangeMembers(world.transactions, world.once, world.randomness, bounds, announce)
        self.read_messages = ReadMessages(world.transactions)
        self.send_messages = SendMessages(world.transactions, world.once, world.randomness, announce)
        self.delete_messages = DeleteMessages(world.transactions, world.randomness, announce)

    def new_channel(
        self, owner: str = "owner", *, name: str = "a channel", channel_id: str | None = None
    ) -> NewChannel:
        made = ChannelId(channel_id or self.world.new_id())
        return NewChannel(Channel(made, UserId(owner), name, self.world.clock.now()))

    async def make(self, command: NewChannel) -> ChannelState:
        return result((await self.make_channels([Keyed(command)]))[0])

    async def a_channel(self, *members: str, owner: str = "owner") -> ChannelId:
        """Return a channel with these members beside its owner."""
        channel_id = (await self.make(self.new_channel(owner))).channel_id
        for member in members:
            await self.place(channel_id, member, by=owner)
        return channel_id

    async def place(self, channel: ChannelId, user: str, *, by: str = "owner", role: Role = "member") -> Member:
        return result((await self.change_members([Keyed(self.placement(channel, user, by=by, role=role))]))[0])

    def placement(self, channel: ChannelId, user: str, *, by: str = "owner", role: Role = "member") -> PlaceMember:
        return PlaceMember(channel, UserId(by), UserId(user), role, self.world.new_id())

    def removal(self, channel: ChannelId, user: str, *, by: str = "owner") -> RemoveMember:
        return RemoveMember(channel, UserId(by), UserId(user), self.world.new_id())

    async def remove(self, channel: ChannelId, user: str, *, by: str = "owner") -> Member:
        return result((await self.change_members([Keyed(self.removal(channel, user, by=by))]))[0])

    def message(
        self, channel: ChannelId, sender: str, body: str = "hello", *, client_id: str | None = None
    ) -> NewMessage:
        message_id = MessageId(self.world.new_id())
        return NewMessage(message_id, channel, UserId(sender), client_id or message_id, body)

    async def send_together(self, *commands: NewMessage) -> Sequence[object]:
        return await self.send_messages([Keyed(command) for command in commands])

    async def send(
        self, channel: ChannelId, sender: str, body: str = "hello", *, client_id: str | None = None
    ) -> Message:
        command = self.message(channel, sender, body, client_id=client_id)
        return result((await self.send_messages([Keyed(command)]))[0])

    async def delete(self, message: Message, *, by: str) -> Message:
        return result((await self.delete_messages([self.deletion(message, by=by)]))[0])

    def deletion(self, message: Message, *, by: str) -> DeleteMessage:
        return DeleteMessage(message.message_id, message.channel_id, UserId(by), self.world.new_id())

    async def read(self, channel: ChannelId, user: str, seq: int) -> int:
        return result((await self.read_messages([ReadUpTo(MemberKey(channel, UserId(user)), seq)]))[0]).read_seq

    async def member(self, channel: ChannelId, user: str) -> Member | None:
        key = MemberKey(channel, UserId(user))
        return (await self.world.reads(lambda stores: stores.channels.members([key]))).get(key)

    async def members(self, channel: ChannelId) -> list[str]:
        found = await self.world.reads(lambda s: s.channels.members_page(channel, after=None, limit=200))
        return [member.user_id for member in found]

    async def channels_of(self, user: str, *, before: ChannelId | None = None, limit: int = 50) -> list[ChannelState]:
        return await self.world.reads(lambda s: s.channels.page(UserId(user), before=before, limit=limit))

    async def unread(self, channel: ChannelId, user: str) -> int:
        return next(state.unread for state in await self.channels_of(user) if state.channel_id == channel)

    async def events(self, channel: ChannelId, *, after: int = 0, limit: int = 1000) -> list[TopicEvent]:
        return await self.world.reads(lambda s: s.topics.events(TopicId(channel), after=after, limit=limit))

    async def log(self, channel: ChannelId) -> list[tuple[int, str, str]]:
        """Return number, kind and actor of every event of a channel."""
        return [(event.seq, event.kind, event.actor_id) for event in await self.events(channel)]

    async def bodies(self, channel: ChannelId, *, since: datetime | None = None) -> list[str | None]:
        """Return the texts of a channel, oldest first."""
        found = await self.world.reads(lambda s: s.messages.page_after(channel, after=0, since=since, limit=1000))
        return [message.body for message in found]
