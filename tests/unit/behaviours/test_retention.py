"""Old events and messages are deleted from the start of a log, and a reader of it learns where it starts."""

from datetime import timedelta

import pytest

from tallystick.application import retention
from tallystick.application.retention import Trimmed
from tallystick.domain.channels import ChannelId
from tallystick.domain.messages import Message
from tallystick.domain.streams import tag_of
from tallystick.domain.topics import LogExtent, TopicId
from tests.worlds.retention import extent, trim
from tests.worlds.rooms import Rooms
from tests.worlds.streams import Streams
from tests.worlds.world import World


async def said(rooms: Rooms, channel: ChannelId, *bodies: str) -> list[Message]:
    """Send texts at different times of the store, each with an event of its own."""
    return [await rooms.send(channel, "owner", body) for body in bodies]


class TestTrimLogs:
    async def test_old_events_are_deleted_from_the_start_and_messages_stay(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await said(rooms, channel, "one", "two", "three")
        last = (await rooms.events(channel))[3]

        trimmed = await trim(world, channel, to=4)

        assert trimmed == Trimmed(events=4, messages=0)
        assert await extent(world, channel) == LogExtent(TopicId(channel), 5, 4, tag_of(last.event_id))
        assert [seq for seq, _, _ in await rooms.log(channel)] == [5]
        assert await rooms.bodies(channel) == ["one", "two", "three"]
        assert await world.broken_promises() == []

    async def test_what_is_not_old_stays(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        await said(rooms, channel, "one")

        assert await trim(world, channel, to=1) == Trimmed(events=1)
        assert await trim(world, channel, to=2) == Trimmed(events=1)
        assert (await extent(world, channel)).trimmed == 2
        await said(rooms, channel, "two")

        assert [seq for seq, _, _ in await rooms.log(channel)] == [3]
        assert await world.broken_promises() == []

    async def test_a_log_of_any_length_is_trimmed_in_steps(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(retention, "STEP_ROWS", 2)
        monkeypatch.setattr(retention, "_PAGE_TOPICS", 1)
        rooms = Rooms(world)
        channels = [await rooms.a_channel() for _ in range(3)]
        for channel in channels:
            await said(rooms, channel, *"abcdef")

        trimmed = await trim(world, channels[-1], to=7, messages_too=True)

        assert trimmed == Trimmed(events=21, messages=18)
        assert [await rooms.bodies(channel) for channel in channels] == [[], [], []]
        assert await world.broken_promises() == []

    async def test_old_messages_are_gone_with_their_texts_and_everything_else_goes_on(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        one, two, three = await said(rooms, channel, "one", "two", "three")

        trimmed = await trim(world, channel, to=two.seq, messages_too=True)

        assert trimmed == Trimmed(events=5, messages=2)
        assert await rooms.bodies(channel) == ["three"]
        assert await rooms.bodies(channel, since=one.created_at - timedelta(seconds=1)) == ["three"]
        assert await world.reads(lambda stores: stores.messages.find([one.message_id, two.message_id])) == {}
        assert await rooms.unread(channel, "ada") == 1
        assert await rooms.read(channel, "ada", three.seq) == three.seq
        assert (await said(rooms, channel, "four"))[0].seq == three.seq + 1
        assert await world.broken_promises() == []

    async def test_a_message_whose_event_is_kept_is_kept(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        (message,) = await said(rooms, channel, "kept")
        far = message.created_at + timedelta(days=1)

        async with world.transactions.begin() as stores:
            await stores.topics.lock([TopicId(channel)])
            assert await stores.messages.forget(channel, before=far, limit=10) == 0

        assert await rooms.bodies(channel) == ["kept"]

    async def test_promises_hold_when_members_and_deletions_are_older_than_the_log(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada", "bob")
        early = await rooms.send(channel, "ada", "early")
        mine = await rooms.send(channel, "bob", "mine")
        await said(rooms, channel, "between")
        await rooms.delete(early, by="ada")
        await said(rooms, channel, "between")
        await rooms.remove(channel, "ada")
        await rooms.place(channel, "ada")
        await rooms.delete(mine, by="bob")
        await said(rooms, channel, "last")
        head = (await extent(world, channel)).head

        for to in range(1, head + 1):
            if to > (await extent(world, channel)).trimmed:
                await trim(world, channel, to=to)
            assert await world.broken_promises() == [], to
        await rooms.send(channel, "bob", "after")
        assert await world.broken_promises() == []


class TestTrimmedStreams:
    async def test_a_reader_at_the_last_trimmed_event_has_missed_nothing(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel()
        reader = await rooms.ready("owner", channel)
        (message,) = await said(rooms, channel, "last")
        await reader.until(message.seq)
        reader.close()
        await trim(world, channel, to=message.seq)

        for resume in (reader.last_id, f"{message.seq}", None):
            again = await rooms.ready("owner", channel, resume=resume)
            assert (again.resets, again.seqs) == ([], [])
            assert again.last_id == reader.last_id
            again.close()
        forked = await rooms.ready("owner", channel, resume=f"{message.seq}-00000000")
        assert [reset.reason for reset in forked.resets] == ["forked"]

    @pytest.mark.parametrize("resume", ["0", "1", "2-01234567"])
    async def test_a_reader_behind_the_start_of_the_log_is_reset_once_and_then_live(
        self, world: World, resume: str
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel()
        sent = await said(rooms, channel, "one", "two", "three")
        await trim(world, channel, to=3)

        reader = await rooms.ready("owner", channel, resume=resume)
        (message,) = await said(rooms, channel, "four")
        await reader.until(message.seq)

        assert [tuple(reset) for reset in reader.resets] == [(channel, "trimmed", sent[-1].seq)]
        assert reader.bodies == ["four"]
        again = await rooms.ready("owner", channel, resume=reader.last_id)
        assert (again.resets, again.seqs) == ([], [])

    @pytest.mark.parametrize("is_all", [True, False])
    async def test_a_stream_that_fell_behind_the_start_of_the_log_is_reset_and_goes_on(
        self, world: World, *, is_all: bool
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel()
        sent = await said(rooms, channel, "one", "two", "three")
        reader = await rooms.open("owner", channel, resume="1")
        await trim(world, channel, to=sent[-1].seq if is_all else sent[-2].seq)

        await reader.until_ready()
        (message,) = await said(rooms, channel, "four")
        await reader.until(message.seq)

        assert [tuple(reset) for reset in reader.resets] == [(channel, "trimmed", sent[-1].seq)]
        assert (reader.bodies, reader.end) == (["four"], None)
        assert [heads.is_ready for heads in reader.heads] == [True]
        assert world.metrics.total("event_gaps") == 0

    @pytest.mark.parametrize("is_all", [True, False])
    async def test_a_hub_that_fell_behind_the_start_of_the_log_goes_on(self, world: World, *, is_all: bool) -> None:
        rooms = Streams(world, is_announced=False)
        channel = await rooms.a_channel()
        reader = await rooms.ready("owner", channel)
        sent = await said(rooms, channel, "one", "two", "three")
        await trim(world, channel, to=sent[-1].seq if is_all else sent[-2].seq)

        await rooms.hub.look()
        while not reader.resets:
            await reader.read()
        (message,) = await said(rooms, channel, "four")
        await rooms.hub.look()
        await reader.until(message.seq)

        assert [tuple(reset) for reset in reader.resets] == [(channel, "trimmed", sent[-1].seq)]
        assert reader.bodies == ["four"]
        assert [heads.is_ready for heads in reader.heads] == [True, True]
        assert world.metrics.total("event_gaps") == 0

    async def test_who_was_removed_in_what_was_trimmed_reads_nothing_behind_it(self, world: World) -> None:
        rooms = Streams(world, is_announced=False)
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)
        removed = await rooms.remove(channel, "ada")
        await said(rooms, channel, "secret")
        await trim(world, channel, to=removed.left_seq or 0)

        await rooms.hub.look()

        assert (await reader.until_end(), reader.bodies) == ("removed", [])

    async def test_texts_older_than_the_log_are_in_no_memory(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel()
        reader = await rooms.ready("owner", channel)
        sent = await said(rooms, channel, "one", "two")
        await reader.until(sent[-1].seq)
        await trim(world, channel, to=sent[-1].seq, messages_too=True)

        await rooms.hub.look()

        late = await rooms.ready("owner", channel, resume="1")
        assert (late.bodies, [reset.reason for reset in late.resets]) == ([], ["trimmed"])
        assert reader.end is None
