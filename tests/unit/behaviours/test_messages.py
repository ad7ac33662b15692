"""How messages are sent once for ever, read in order, and deleted."""

import pytest

from tallystick.application.messages import DeleteMessage
from tallystick.domain.channels import ChannelId, ChannelNotFound, Member, NotAMember
from tallystick.domain.messages import Message, MessageId, MessageLength, MessageNotFound, NotYourMessage
from tallystick.domain.users import UserDeleted, UserId
from tests.worlds.rooms import Rooms
from tests.worlds.world import World


class TestSendMessages:
    async def test_messages_are_numbered_without_gaps_in_their_order(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")

        sent = [await rooms.send(channel, sender, f"{n}") for n, sender in enumerate(("ada", "owner", "ada"))]

        assert [message.seq for message in sent] == [3, 4, 5]
        assert await rooms.bodies(channel) == ["0", "1", "2"]
        assert [kind for _, kind, _ in await rooms.log(channel)][2:] == ["message"] * 3
        assert await world.broken_promises() == []

    async def test_messages_of_one_batch_are_numbered_as_they_came(self, world: World) -> None:
        rooms = Rooms(world)
        one, two = await rooms.a_channel(), await rooms.a_channel()

        outcomes = await rooms.send_together(
            rooms.message(one, "owner", "a"),
            rooms.message(two, "owner", "b"),
            rooms.message(one, "eve", "no"),
            rooms.message(one, "owner", "c"),
        )

        assert [getattr(outcome, "seq", type(outcome)) for outcome in outcomes] == [2, 2, ChannelNotFound, 3]
        assert (await rooms.bodies(one), await rooms.bodies(two)) == (["a", "c"], ["b"])

    async def test_the_same_client_message_id_is_the_same_message_for_ever(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        first = await rooms.send(channel, "ada", "hello", client_id="m1")
        world.pass_time(days=400)

        again = await rooms.send(channel, "ada", "another text", client_id="m1")
        twice = await rooms.send_together(
            *(rooms.message(channel, "ada", "new", client_id="m2") for _ in range(2)),
        )

        assert again == first
        assert twice[0] == twice[1]
        assert await rooms.bodies(channel) == ["hello", "new"]

    async def test_it_is_the_same_message_for_a_sender_who_was_removed_since(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        first = await rooms.send(channel, "ada", client_id="m1")
        await rooms.remove(channel, "ada")

        assert await rooms.send(channel, "ada", "", client_id="m1") == first
        with pytest.raises(NotAMember):
            await rooms.send(channel, "ada", client_id="m2")

    async def test_client_message_ids_belong_to_one_sender_in_one_channel(self, world: World) -> None:
        rooms = Rooms(world)
        one, two = await rooms.a_channel("ada"), await rooms.a_channel("ada")

        sent = [await rooms.send(c, u, client_id="m1") for c, u in ((one, "ada"), (one, "owner"), (two, "ada"))]

        assert len({message.message_id for message in sent}) == 3

    @pytest.mark.parametrize("body", ["", "  \n", "x" * 4001])
    async def test_a_text_that_is_empty_or_too_long_is_refused(self, world: World, body: str) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()

        with pytest.raises(MessageLength):
            await rooms.send(channel, "owner", body)

        assert await rooms.bodies(channel) == []
        assert (await rooms.send(channel, "owner", "y" * 4000)).seq == 2

    async def test_only_members_send(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        removed = await rooms.remove(channel, "ada")

        for sender, refusal in (("ada", NotAMember), ("eve", ChannelNotFound)):
            with pytest.raises(refusal):
                await rooms.send(channel, sender)
        with pytest.raises(ChannelNotFound):
            await rooms.send(ChannelId("nothing"), "owner")

        assert (await rooms.send(channel, "owner")).seq == (removed.left_seq or 0) + 1

    async def test_a_deleted_sender_is_refused(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await world.arrive("ada")
        await world.delete("ada")

        with pytest.raises(UserDeleted):
            await rooms.send(channel, "ada")


class TestReadMessages:
    async def test_pages_show_each_message_once_whatever_the_clock_says(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        for start in range(0, 40, 8):
            await rooms.send_together(*(rooms.message(channel, "owner", f"{start + n}") for n in range(8)))

        seen: list[Message] = []
        before: int | None = None
        while page := await world.reads(
            lambda s, before=before: s.messages.page(channel, before=before, since=None, limit=7)  # type: ignore[misc]
        ):
            seen += page
            before = page[-1].seq
            await rooms.send(channel, "owner", "late")

        assert [message.body for message in seen] == [f"{n}" for n in range(39, -1, -1)]

    async def test_pages_upwards_begin_behind_a_number(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        sent = [await rooms.send(channel, "owner", f"{n}") for n in range(5)]

        page = await world.reads(lambda s: s.messages.page_after(channel, after=sent[1].seq, since=None, limit=2))

        assert page == sent[2:4]

    async def test_since_leaves_out_everything_up_to_that_time(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        sent = [await rooms.send(channel, "owner", f"{n}") for n in range(4)]
        later = [m for m in sent if m.created_at > sent[1].created_at]

        down = await world.reads(lambda s: s.messages.page(channel, before=None, since=sent[1].created_at, limit=9))

        assert down == later[::-1]
        assert await rooms.bodies(channel, since=sent[1].created_at) == [m.body for m in later]
        assert await rooms.bodies(channel, since=sent[-1].created_at) == []

    async def test_unread_messages_are_counted_up_to_a_hundred(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await rooms.send_together(*(rooms.message(channel, "owner", f"{n}") for n in range(99)))
        assert await rooms.unread(channel, "ada") == 99

        last = await rooms.send(channel, "owner", "99")
        await rooms.send(channel, "owner", "100")
        assert await rooms.unread(channel, "ada") == 100

        assert await rooms.read(channel, "ada", last.seq) == last.seq
        assert await rooms.unread(channel, "ada") == 1

    async def test_unread_messages_are_looked_for_among_two_hundred(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        sent = await rooms.send_together(*(rooms.message(channel, "owner", f"{n}") for n in range(201)))
        messages = [each for each in sent if isinstance(each, Message)]

        await rooms.delete_messages([rooms.deletion(each, by="owner") for each in messages[:199]])
        assert await rooms.unread(channel, "ada") == 1

        await rooms.delete(messages[199], by="owner")
        assert await rooms.unread(channel, "ada") == 0

    async def test_the_marker_never_goes_back_nor_beyond_the_head(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        message = await rooms.send(channel, "owner")

        assert await rooms.read(channel, "ada", 10**12) == message.seq
        assert await rooms.read(channel, "ada", 1) == message.seq

    async def test_a_sender_has_read_what_they_sent_and_deleted_messages_are_not_unread(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        message = await rooms.send(channel, "owner")

        assert (await rooms.unread(channel, "owner"), await rooms.unread(channel, "ada")) == (0, 1)

        await rooms.delete(message, by="owner")
        assert await rooms.unread(channel, "ada") == 0


class TestDeleteMessages:
    @pytest.mark.parametrize("actor", ["ada", "owner"])
    async def test_its_sender_and_an_owner_delete_a_message(self, world: World, actor: str) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        message = await rooms.send(channel, "ada", "secret")

        gone = await rooms.delete(message, by=actor)

        assert (gone.body, gone.seq, gone.created_at) == (None, message.seq, message.created_at)
        assert gone.deleted_at is not None
        assert await rooms.bodies(channel) == [None]
        assert (await rooms.log(channel))[-1] == (message.seq + 1, "message_deleted", actor)
        assert await world.broken_promises() == []

    async def test_deleting_it_again_changes_nothing(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        message = await rooms.send(channel, "owner")
        gone = await rooms.delete(message, by="owner")
        twice = rooms.deletion(await rooms.send(channel, "owner"), by="owner")

        outcomes = await rooms.delete_messages([twice, twice])

        assert await rooms.delete(message, by="owner") == gone
        assert outcomes[0] == outcomes[1]
        assert [kind for _, kind, _ in await rooms.log(channel)].count("message_deleted") == 2

    async def test_a_deletion_whose_answer_was_lost_is_answered_again(self, world: World) -> None:
        """Its sender was removed since, and the owner who asked for the other one is an owner no more."""
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await rooms.place(channel, "bob", role="owner")
        own, foreign = await rooms.send(channel, "ada"), await rooms.send(channel, "owner")
        deletions = [rooms.deletion(own, by="ada"), rooms.deletion(foreign, by="bob")]
        first = await rooms.delete_messages(deletions)
        await rooms.remove(channel, "ada")
        await rooms.place(channel, "bob", role="member")

        assert await rooms.delete_messages(deletions) == first
        assert [kind for _, kind, _ in await rooms.log(channel)].count("message_deleted") == 2
        for message, user, refusal in ((own, "ada", NotAMember), (foreign, "bob", NotYourMessage)):
            with pytest.raises(refusal):
                await rooms.delete(message, by=user)

    async def test_other_members_strangers_and_former_members_delete_nothing(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada", "bob")
        message = await rooms.send(channel, "ada", "stays")
        await rooms.send(channel, "bob")
        with pytest.raises(NotYourMessage):
            await rooms.delete(message, by="bob")
        await rooms.remove(channel, "ada")

        for user, refusal in (("ada", NotAMember), ("eve", MessageNotFound)):
            with pytest.raises(refusal):
                await rooms.delete(message, by=user)
        nothing = DeleteMessage(MessageId("nothing"), channel, UserId("owner"), world.new_id())
        assert [type(outcome) for outcome in await rooms.delete_messages([nothing])] == [MessageNotFound]
        assert (await rooms.bodies(channel))[0] == "stays"

    async def test_the_same_message_sent_again_after_its_deletion_stays_deleted(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        message = await rooms.send(channel, "owner", "secret", client_id="m1")
        gone = await rooms.delete(message, by="owner")

        assert await rooms.send(channel, "owner", "secret", client_id="m1") == gone
        assert await rooms.bodies(channel) == [None]


class TestDeletedMembers:
    async def test_a_deleted_user_leaves_every_channel_and_takes_their_texts_along(self, world: World) -> None:
        rooms = Rooms(world)
        await world.arrive("ada")
        channels = [await rooms.a_channel("ada") for _ in range(3)]
        for channel in channels:
            await rooms.send_together(*(rooms.message(channel, "ada", "secret") for _ in range(5)))
            await rooms.send(channel, "owner", "stays")
        own = await rooms.a_channel(owner="ada")
        await rooms.send(own, "ada", "secret")

        await world.delete("ada")
        await world.finish_erasures()

        for channel in channels:
            assert await rooms.members(channel) == ["owner"]
            assert await rooms.bodies(channel) == [None] * 5 + ["stays"]
        assert (await rooms.members(own), await rooms.bodies(own)) == ([], [None])
        assert await world.broken_promises() == []

    async def test_an_erasure_goes_on_in_the_middle_of_a_channel(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tallystick.application.erasures.STEP_ROWS", 2)
        monkeypatch.setattr("tallystick.application.channel_erasures._STEP_CHANNELS", 2)
        rooms = Rooms(world)
        await world.arrive("ada")
        channels = [await rooms.a_channel("ada") for _ in range(5)]
        for channel in channels:
            await rooms.send_together(*(rooms.message(channel, "ada", "secret") for _ in range(3)))

        await world.delete("ada")
        await world.finish_erasures()

        for channel in channels:
            assert (await rooms.members(channel), await rooms.bodies(channel)) == (["owner"], [None] * 3)
        assert await world.broken_promises() == []

    async def test_a_member_who_was_added_behind_their_deletion_is_removed_later(self, world: World) -> None:
        rooms = Rooms(world)
        await world.arrive("ada")
        channel = await rooms.a_channel("ada")
        await world.delete("ada")
        await world.finish_erasures()
        late = await rooms.place(channel, "bob")
        # A request that was decided before the deletion is stored behind it.
        async with world.transactions.begin() as stores:
            member = Member(channel, UserId("ada"), "member", late.joined_seq, None, 0)
            await stores.channels.store_members([member])

        world.pass_time(minutes=5)
        await world.finish_erasures()

        assert await rooms.members(channel) == ["bob", "owner"]
