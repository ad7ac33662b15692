"""The end of streams: members who are removed, tokens and sessions that end, users who are deleted, and limits."""

from datetime import timedelta

import pytest

from tallystick.application.sessions import NewSession
from tallystick.application.stream_frames import Frame
from tallystick.application.stream_hub import StreamLimits, StreamRefused
from tallystick.domain.channels import ChannelNotFound, NotAMember
from tallystick.domain.identity import Principal
from tallystick.domain.sessions import LIFETIME, Session, SessionId
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.worlds.streams import Streams, together
from tests.worlds.world import World


class TestMembership:
    async def test_only_members_open_a_stream(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada", "bob")
        await rooms.remove(channel, "bob")

        with pytest.raises(NotAMember):
            await rooms.open("bob", channel)
        for topic in (channel, "nothing"):
            with pytest.raises(ChannelNotFound):
                await rooms.open("eve", topic)

    async def test_a_removal_is_the_last_event_that_its_user_receives(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada", "bob")
        bob, ada = await rooms.ready("bob", channel), await rooms.ready("ada", channel)
        await rooms.send(channel, "owner", "before")
        removed = await rooms.remove(channel, "bob")
        after = await rooms.send(channel, "owner", "behind")

        assert await bob.until_end() == "removed"
        await ada.until(after.seq)

        assert (bob.seqs[-1], bob.bodies) == (removed.left_seq, ["before"])
        assert ada.bodies == ["before", "behind"]

    async def test_a_member_who_was_added_again_reads_past_the_removal(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        await rooms.remove(channel, "ada")
        await rooms.place(channel, "ada")

        reader = await rooms.ready("ada", channel, resume="0")

        assert (reader.seqs, reader.end) == ([1, 2, 3, 4], None)


class TestEnds:
    async def test_one_stream_too_many_ends_the_oldest(self, world: World) -> None:
        rooms = Streams(world, StreamLimits(of_a_user=2, heartbeat_seconds=3600))
        channel = await rooms.a_channel("ada")
        readers = [await rooms.ready("ada", channel) for _ in range(3)]

        assert await readers[0].until_end() == "too_many_streams"
        message = await rooms.send(channel, "owner")
        await together(*readers[1:], seq=message.seq)

    async def test_a_full_process_opens_no_stream_until_one_ends(self, world: World) -> None:
        rooms = Streams(world, StreamLimits(of_a_process=1, heartbeat_seconds=3600))
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)

        with pytest.raises(StreamRefused, match="busy"):
            await rooms.open("owner", channel)
        reader.close()
        await rooms.ready("owner", channel)

    async def test_draining_ends_every_stream_and_opens_none(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        readers = [await rooms.ready(user, channel) for user in ("ada", "owner")]

        rooms.hub.drain()

        assert [await reader.until_end() for reader in readers] == ["draining"] * 2
        with pytest.raises(StreamRefused, match="draining"):
            await rooms.open("ada", channel)

    async def test_a_heartbeat_says_the_numbers_again(self, world: World) -> None:
        rooms = Streams(world, StreamLimits(heartbeat_seconds=0.01))
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)

        await reader.read()

        assert [(heads.by_topic, heads.is_ready) for heads in reader.heads] == [
            ({TopicId(channel): 2}, True),
            ({TopicId(channel): 2}, False),
        ]

    async def test_a_heartbeat_that_is_due_when_events_arrive_follows_them(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        reader, other = await rooms.ready("ada", channel), await rooms.ready("ada", channel)
        message = await rooms.send(channel, "owner")
        await other.until(message.seq)  # the hub has it: the next pass of the reader sends it
        reader.stream._beats_at = 0.0
        await reader.until(message.seq)

        await reader.read()

        assert [(heads.by_topic, heads.is_ready) for heads in reader.heads[1:]] == [
            ({TopicId(channel): message.seq}, False)
        ]

    async def test_a_stream_ends_with_its_token_and_by_its_age(self, world: World) -> None:
        rooms = Streams(world, StreamLimits(heartbeat_seconds=3600, age_seconds=0.02))
        channel = await rooms.a_channel("ada")
        ends_at = (world.clock.now() + timedelta(milliseconds=5)).timestamp()

        aged = await rooms.open("ada", channel)
        by_token = await rooms.open("ada", channel, caller=Principal(UserId("ada"), token_ends_at=ends_at))

        assert (await aged.until_end(), await by_token.until_end()) == ("aged", "token_ended")

    async def test_a_stream_that_is_opened_on_a_restored_log_is_not_sent_the_events_of_the_lost_one(
        self, world: World
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        stuck = await rooms.ready("ada", channel)
        (feed,) = stuck.stream.feeds
        feed.ring.extend([Frame(3, b"3-00000000", "message", "lost", b'event: message\ndata: {"seq":3,"body":"lost"}')])
        feed.head = 3

        await rooms.hub.look()
        again = await rooms.ready("ada", channel, resume="3-00000000")
        assert await stuck.until_end() == "restored"
        message = await rooms.send(channel, "owner", "other")
        await again.until(message.seq)

        assert [reset.reason for reset in again.resets] == ["ahead"]
        assert (again.seqs, again.bodies) == ([3], ["other"])

    @pytest.mark.parametrize("everywhere", [True, False])
    async def test_a_session_that_ended_is_noticed_by_a_heartbeat(self, world: World, *, everywhere: bool) -> None:
        rooms = Streams(world, StreamLimits(heartbeat_seconds=0.01))
        channel = await rooms.a_channel("ada")
        await world.sign_up(world.sign_up_command("ada", (await world.an_invite()).code))
        now = world.clock.now()
        given = Session(UserId("ada"), SessionId("ab" * 16), now, now + LIFETIME)
        session = await world.start_session(NewSession(given, "hash of a good password"))
        reader = await rooms.open("ada", channel, caller=Principal(UserId("ada"), session=session.key))
        await reader.until_ready()

        await world.sign_out(session, everywhere=everywhere)

        assert await reader.until_end() == "signed_out"

    async def test_a_deleted_user_is_noticed_by_a_heartbeat(self, world: World) -> None:
        rooms = Streams(world, StreamLimits(heartbeat_seconds=0.01))
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)
        await world.delete("ada")

        assert await reader.until_end() == "user_deleted"
