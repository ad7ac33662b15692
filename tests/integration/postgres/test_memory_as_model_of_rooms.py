"""Memory is the model of PostgreSQL: after any commands on rooms in any order, both answer and show the same."""

import os
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, initialize, multiple, rule

from tallystick.application.channels import NewChannel, ReadUpTo
from tallystick.application.members import PlaceMember, RemoveMember
from tallystick.application.messages import DeleteMessage, NewMessage
from tallystick.application.stage_rooms import SyncRoster
from tallystick.application.transactions import Stores
from tallystick.domain.channels import Channel, ChannelId, ChannelState, MemberKey, Role
from tallystick.domain.messages import Message, MessageId
from tallystick.domain.stage_rooms import RoleName, RoomId, RosterSlot
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.integration.postgres.rooms_on_both import (
    BODIES,
    CLIENT_IDS,
    KEYS,
    LIMITS,
    NAMES,
    ROLES,
    ROOMS,
    RULES,
    SEQS,
    SLOTS,
    TEXTS,
    USERS,
    RoomsOnBoth,
)
from tests.integration.postgres.rooms_shown import without_times
from tests.integration.postgres.twins import Twins, run
from tests.worlds.stages import slots as slots_of

EXAMPLES = int(os.environ.get("TALLYSTICK_TEST_ROOMS", "12"))  # `make storm` takes more
EXPECTED = {
    *("ChannelState", "Member", "Message", "Roster", "Deleted"),
    *("CHANNEL_NOT_FOUND", "NOT_A_MEMBER", "NOT_AN_OWNER", "USER_DELETED"),
}
"""Outcomes without which the random commands did not get around."""
SELDOM = {
    *("Replayed", "IDEMPOTENCY_MISMATCH", "BOUND_REACHED", "LAST_OWNER", "MEMBER_NOT_FOUND", "NOT_A_MEMBER"),
    *("MESSAGE_LENGTH", "MESSAGE_NOT_FOUND", "NOT_YOUR_MESSAGE", "NOT_YOUR_ROOM", "SLOTS_EXCEEDED"),
    *("PLAYER_TWICE", "SLOT_TAKEN", "UNKNOWN_ROLE", "ROSTER_STALE", "PLAYER_DELETED"),
}
"""Outcomes that random commands need many examples for."""


class RoomCommands(RoomsOnBoth):
    """Commands of members and organisers, the deletion of users, and the trimming of logs."""

    channels: Bundle[ChannelId] = Bundle("channels")
    messages: Bundle[Message] = Bundle("messages")

    @initialize(target=channels)
    def begin(self) -> Any:
        first: Any = self.make("ada", None)
        second: Any = self.make("Bob", None)
        for user in USERS[1:]:
            self.do(PlaceMember(first, USERS[0], user, "member", self.new_id()))
        return multiple(first, second, ChannelId("unknown"))

    @rule(target=channels, owner=NAMES, key=KEYS)
    def make(self, owner: str, key: str | None) -> Any:
        command = NewChannel(Channel(ChannelId(self.new_id()), UserId(owner), "a channel", self.clock.now()))
        (made,) = self.do(command, by=owner, key=key)
        if not isinstance(made, ChannelState):
            return multiple()
        self.made.append(made.channel_id)
        return made.channel_id

    @rule(channel=channels, actor=NAMES, changes=st.lists(st.tuples(NAMES, ROLES), min_size=1, max_size=3), key=KEYS)
    def place(self, channel: ChannelId, actor: str, changes: list[tuple[str, Role]], key: str | None) -> None:
        placed = [PlaceMember(channel, UserId(actor), UserId(user), role, self.new_id()) for user, role in changes]
        self.do(*placed, by=actor, key=key)

    @rule(channels=st.lists(channels, min_size=1, max_size=3), actor=NAMES, user=st.none() | NAMES, key=KEYS)
    def remove(self, channels: list[ChannelId], actor: str, user: str | None, key: str | None) -> None:
        removed = [RemoveMember(each, UserId(actor), UserId(user or actor), self.new_id()) for each in channels]
        self.do(*removed, by=actor, key=key)

    @rule(
        target=messages,
        channels=st.lists(channels, min_size=1, max_size=4),
        texts=st.lists(st.tuples(NAMES, CLIENT_IDS, BODIES), min_size=4, max_size=4),
        key=KEYS,
    )
    def send(self, channels: list[ChannelId], texts: list[tuple[str, str | None, str]], key: str | None) -> Any:
        commands = []
        for channel, (sender, client_id, body) in zip(channels, texts, strict=False):
            message_id = MessageId(self.new_id())
            commands.append(
                NewMessage(message_id, channel, UserId(sender), client_id or message_id, TEXTS.get(body, body))
            )
        found = self.do(*commands, by=texts[0][0], key=key)
        return multiple(*(each for each in found if isinstance(each, Message)))

    @rule(gone=st.lists(st.tuples(messages, NAMES), min_size=1, max_size=3), other=st.none() | channels)
    def delete_messages(self, gone: list[tuple[Message, str]], other: ChannelId | None) -> None:
        self.do(
            *(DeleteMessage(each.message_id, other or each.channel_id, UserId(by), self.new_id()) for each, by in gone)
        )

    @rule(markers=st.lists(st.tuples(channels, NAMES, SEQS), min_size=1, max_size=4))
    def read(self, markers: list[tuple[ChannelId, str, int]]) -> None:
        self.do(*(ReadUpTo(MemberKey(channel, UserId(user)), seq) for channel, user, seq in markers))

    @rule(
        room=st.sampled_from(ROOMS),
        actor=NAMES,
        rules=RULES,
        slots=SLOTS,
        behind=st.sampled_from([0, 0, 0, 1, -1]),
        is_manager=st.booleans(),
        key=KEYS,
    )
    def sync(
        self,
        room: RoomId,
        actor: str,
        rules: dict[str, int],
        slots: list[RosterSlot],
        behind: int,
        is_manager: bool,
        key: str | None,
    ) -> None:
        seen, allowed = self.versions.get(room, 0) - behind, {RoleName(name): count for name, count in rules.items()}
        self.do(SyncRoster(room, UserId(actor), seen, allowed, tuple(slots), is_manager), by=actor, key=key)

    @rule(back=st.integers(1, 5))
    def repeat(self, back: int) -> None:
        """Run a batch again, as after a lost commit."""
        self.answer(self.done[-min(back, len(self.done))])

    @rule(name=st.sampled_from(["", "", "dan", "Eve", "nobody"]))
    def delete_user(self, name: str) -> None:
        if name:
            self.twins.run(lambda world: world.delete(name))
            self.show_all()

    @rule()
    def finish_erasures(self) -> None:
        self.twins.run(lambda world: world.finish_erasures())
        self.show_all()

    @rule(minutes=st.sampled_from([1, 20]))
    def wait(self, minutes: int) -> None:
        self.twins.pass_time(minutes=minutes)
        self.clock.move(timedelta(minutes=minutes))

    @rule(channel=channels, to=SEQS, microseconds=st.integers(0, 1), limit=LIMITS, messages_too=st.booleans())
    def trim(self, channel: ChannelId, to: int, microseconds: int, limit: int, messages_too: bool) -> None:
        async def trimmed(stores: Stores) -> tuple[int, int]:
            topic = TopicId(channel)
            before = await _time_of(stores, channel, to)
            if before is None:
                return 0, 0
            before += timedelta(microseconds=microseconds)
            await stores.topics.lock([topic])
            events = await stores.topics.trim(topic, before=before, limit=limit)
            return events, await stores.messages.forget(channel, before=before, limit=limit) if messages_too else 0

        self.twins.changes(trimmed)
        self.changed.add(channel)

    @rule(channel=channels, at=SEQS, later=st.integers(-1, 1), seq=SEQS, limit=LIMITS)
    def list_messages(self, channel: ChannelId, at: int, later: int, seq: int, limit: int) -> None:
        async def listed(stores: Stores) -> list[object]:
            since = await _time_of(stores, channel, at)
            if since is not None:
                since += timedelta(microseconds=later)
            pages = [
                await stores.messages.page(channel, before=None, since=since, limit=limit),
                await stores.messages.page(channel, before=seq, since=since, limit=limit),
                await stores.messages.page(channel, before=seq, since=None, limit=limit),
                await stores.messages.page_after(channel, after=seq, since=since, limit=limit),
                await stores.messages.page_after(channel, after=seq, since=None, limit=limit),
            ]
            events = await stores.topics.events(TopicId(channel), after=seq, limit=limit)
            return [[[without_times(each) for each in page] for page in pages], [each.seq for each in events]]

        self.twins.show(listed)

    @rule(channel=channels, user=NAMES, after=st.sampled_from(["", *USERS, *ROOMS, "b"]), limit=LIMITS)
    def list_others(self, channel: ChannelId, user: UserId, after: str, limit: int) -> None:
        async def listed(stores: Stores) -> list[object]:
            sent = await stores.messages.of_sender(MemberKey(channel, user), after=after, limit=limit)
            return [
                await stores.channels.page(user, before=channel, limit=limit),
                await stores.channels.channels_of(user, after=channel, limit=limit),
                await stores.channels.members_page(channel, after=UserId(after), limit=limit),
                await stores.stage_rooms.rooms_of(user, after=after, limit=limit),
                await stores.topics.page(after=channel, limit=limit),
                [without_times(each) for each in sent],
            ]

        self.twins.show(listed)


async def _time_of(stores: Stores, channel: ChannelId, seq: int) -> Any:
    found = await stores.topics.events(TopicId(channel), after=seq - 1, limit=1)
    return found[0].created_at if found else None


def test_whatever_happens_in_rooms_both_say_and_show_the_same(twins: Twins) -> None:
    run(RoomCommands, twins, examples=EXAMPLES, steps=40, shrinks=False)

    assert set(twins.outcomes) >= EXPECTED


def test_what_seldom_happens_in_rooms_both_say_and_show_the_same(twins: Twins) -> None:
    rooms, sync = RoomCommands(twins), {"rules": {"player": 2}, "behind": 0, "is_manager": False, "key": None}
    channel, other = rooms.make("ada", "key"), rooms.make("ada", None)
    rooms.make("ada", "key")
    rooms.make("ada", None)
    rooms.place(channel, "ada", [("Bob", "member")], "key")
    rooms.place(channel, "ada", [("Bob", "member")], None)
    rooms.remove([channel], "ada", None, None)
    rooms.remove([channel], "ada", "çem", None)
    sent: Any = rooms.send(
        [channel] * 4, [("ada", "a", "x"), ("Bob", "a", "x"), ("ada", "a", "y"), ("ada", None, "")], None
    )
    for by, place in (("Bob", None), ("ada", other), ("ada", None), ("ada", None)):
        rooms.delete_messages([(sent.values[0], by)], place)
    rooms.remove([channel], "ada", "Bob", None)
    rooms.send([channel] * 2, [("Bob", "a", "x"), ("Bob", "B", "x")], None)
    for actor, slots in (("ada", "player 1 dan"), ("Bob", ""), ("ada", "player 2 dan"), ("ada", "player 3 dan")):
        rooms.sync(ROOMS[0], actor, slots=[*slots_of(slots)] if slots else [], **sync)
    for texts in (["player 1 dan", "player 1 Eve"], ["player 1 dan", "player 2 dan"]):
        rooms.sync(ROOMS[1], "ada", slots=[*slots_of(*texts)], **sync)
    rooms.sync(ROOMS[1], "ada", slots=[*slots_of("captain 1 dan")], **sync)
    rooms.sync(ROOMS[0], "ada", slots=[], **sync | {"behind": 1})
    rooms.delete_user("dan")
    rooms.sync(ROOMS[1], "ada", slots=[*slots_of("player 1 dan")], **sync)
    rooms.teardown()

    assert set(twins.outcomes) >= SELDOM
