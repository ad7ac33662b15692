"""How channels are made, and how their members come and go."""

import pytest

from tallystick.application.idempotency import Keyed
from tallystick.application.members import PlaceMember, RemoveMember
from tallystick.domain.bounds import BoundReached, UserBounds
from tallystick.domain.channels import (
    ChannelId,
    ChannelNotFound,
    LastOwner,
    Member,
    MemberNotFound,
    NotAMember,
    NotAnOwner,
)
from tallystick.domain.users import UserDeleted, UserId
from tests.worlds.rooms import Rooms
from tests.worlds.world import World


class TestMakeChannels:
    async def test_the_maker_is_the_first_member_and_owner(self, world: World) -> None:
        rooms = Rooms(world)

        made = await rooms.make(rooms.new_channel("ada", name="chess"))

        assert (made.owner_id, made.name, made.head, made.role) == ("ada", "chess", 1, "owner")
        assert await rooms.channels_of("ada") == [made]
        assert await rooms.log(made.channel_id) == [(1, "member_added", "ada")]
        assert await world.broken_promises() == []

    async def test_the_same_channel_after_a_lost_answer_is_one_channel(self, world: World) -> None:
        rooms = Rooms(world)
        command = rooms.new_channel("ada")
        first = await rooms.make(command)

        assert await rooms.make(command) == first
        assert await rooms.log(first.channel_id) == [(1, "member_added", "ada")]

    async def test_a_deleted_user_makes_no_channel(self, world: World) -> None:
        await world.arrive("ada")
        await world.delete("ada")

        with pytest.raises(UserDeleted):
            await Rooms(world).make(Rooms(world).new_channel("ada"))

    async def test_pages_list_the_channels_of_a_member_newest_first(self, world: World) -> None:
        rooms = Rooms(world)
        made = []
        for _ in range(5):
            world.pass_time(seconds=1)
            made.append(await rooms.a_channel("ada"))
        await rooms.a_channel("bob")

        first = await rooms.channels_of("ada", limit=3)
        rest = await rooms.channels_of("ada", before=first[-1].channel_id, limit=3)

        assert [state.channel_id for state in (*first, *rest)] == made[::-1]


class TestMembers:
    async def test_an_owner_adds_members_each_by_one_event(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()

        ada = await rooms.place(channel, "ada")
        again = await rooms.place(channel, "ada")

        assert (ada.role, ada.joined_seq, ada.left_seq) == ("member", 2, None)
        assert again == ada
        assert await rooms.members(channel) == ["ada", "owner"]
        assert await rooms.log(channel) == [(1, "member_added", "owner"), (2, "member_added", "owner")]

    async def test_a_member_who_is_no_owner_adds_and_removes_no_one_else(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada", "bob")

        with pytest.raises(NotAnOwner):
            await rooms.place(channel, "cid", by="ada")
        with pytest.raises(NotAnOwner):
            await rooms.remove(channel, "bob", by="ada")

        assert await rooms.members(channel) == ["ada", "bob", "owner"]

    async def test_a_stranger_learns_nothing_and_a_former_member_learns_that_they_left(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await rooms.remove(channel, "ada", by="ada")

        for user, refusal in (("ada", NotAMember), ("eve", ChannelNotFound)):
            with pytest.raises(refusal):
                await rooms.place(channel, "cid", by=user)
            with pytest.raises(refusal):
                await rooms.remove(channel, "owner", by=user)
            with pytest.raises(refusal):
                await rooms.read(channel, user, 1)
        with pytest.raises(ChannelNotFound):
            await rooms.place(ChannelId("nothing"), "cid")

    async def test_a_removed_member_can_come_back(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        removed = await rooms.remove(channel, "ada")

        back = await rooms.place(channel, "ada")

        assert (removed.joined_seq, removed.left_seq) == (2, 3)
        assert (back.joined_seq, back.left_seq) == (4, None)
        assert await world.broken_promises() == []

    async def test_removing_a_user_who_is_no_member_is_refused(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await rooms.remove(channel, "ada")

        for user in ("ada", "eve"):
            with pytest.raises(MemberNotFound):
                await rooms.remove(channel, user)

    @pytest.mark.parametrize("actor", ["owner", "ada"])
    async def test_a_removal_whose_answer_was_lost_is_answered_again(self, actor: str, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        removal = rooms.removal(channel, "ada", by=actor)
        first = await rooms.change_members([Keyed(removal)])

        again = await rooms.change_members([Keyed(removal)])

        assert again == first == [await rooms.member(channel, "ada")]
        assert [kind for _, kind, _ in await rooms.log(channel)].count("member_removed") == 1

    async def test_a_removal_that_is_run_again_removes_no_member_who_came_back(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        removal = rooms.removal(channel, "ada")
        await rooms.change_members([Keyed(removal)])
        back = await rooms.place(channel, "ada")

        assert await rooms.change_members([Keyed(removal)]) == [back]
        assert await rooms.members(channel) == ["ada", "owner"]

    @pytest.mark.parametrize("since", ["demoted", "removed", "deleted"])
    async def test_what_an_owner_stored_is_answered_again_whatever_became_of_the_owner(
        self, since: str, world: World
    ) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada", "bob")
        await rooms.place(channel, "cid", role="owner")
        changes: list[Keyed[PlaceMember | RemoveMember]] = [
            Keyed(rooms.placement(channel, "dan", by="cid")),
            Keyed(rooms.placement(channel, "ada", by="cid", role="owner")),
            Keyed(rooms.removal(channel, "bob", by="cid")),
        ]
        first = await rooms.change_members(changes)
        if since == "demoted":
            await rooms.place(channel, "cid", role="member")
        elif since == "removed":
            await rooms.remove(channel, "cid")
        else:
            await world.arrive("cid")
            await world.delete("cid")
        log = await rooms.log(channel)

        assert await rooms.change_members(changes) == first
        assert await rooms.log(channel) == log
        with pytest.raises((NotAnOwner, NotAMember, UserDeleted)):
            await rooms.place(channel, "eve", by="cid")

    async def test_a_channel_is_answered_again_also_behind_the_deletion_of_its_maker(self, world: World) -> None:
        rooms = Rooms(world)
        await world.arrive("ada")
        command = rooms.new_channel("ada")
        made = await rooms.make(command)
        await world.delete("ada")

        assert await rooms.make(command) == made

    async def test_a_step_down_whose_answer_was_lost_is_answered_again(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        await rooms.place(channel, "ada", role="owner")
        step_down = rooms.placement(channel, "ada", by="ada", role="member")
        first = await rooms.change_members([Keyed(step_down)])

        assert await rooms.change_members([Keyed(step_down)]) == first == [await rooms.member(channel, "ada")]
        with pytest.raises(NotAnOwner):
            await rooms.place(channel, "ada", by="ada", role="member")
        with pytest.raises(NotAnOwner):
            await rooms.place(channel, "ada", by="ada", role="owner")
        assert len(await rooms.log(channel)) == 3

    async def test_a_channel_keeps_an_owner(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")

        with pytest.raises(LastOwner):
            await rooms.remove(channel, "owner", by="owner")
        with pytest.raises(LastOwner):
            await rooms.place(channel, "owner", role="member")

        await rooms.place(channel, "ada", role="owner")
        await rooms.remove(channel, "owner", by="owner")
        assert await rooms.members(channel) == ["ada"]

    async def test_owners_who_leave_in_one_batch_leave_one_behind(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        for user in ("ada", "bob"):
            await rooms.place(channel, user, role="owner")
        leaving: list[Keyed[PlaceMember | RemoveMember]] = [
            Keyed(rooms.removal(channel, user, by=user)) for user in ("ada", "bob", "owner")
        ]

        outcomes = await rooms.change_members(leaving)

        assert [type(outcome) for outcome in outcomes] == [Member, Member, LastOwner]
        assert await rooms.members(channel) == ["owner"]

    async def test_another_role_is_an_event_and_keeps_the_time_of_joining(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")

        promoted = await rooms.place(channel, "ada", role="owner")

        assert (promoted.role, promoted.joined_seq) == ("owner", 2)
        assert [event.payload for event in await rooms.events(channel, after=1)] == [
            '{"role":"member"}',
            '{"role":"owner"}',
        ]

    async def test_deleted_users_are_added_to_no_channel_and_add_no_one(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel("ada")
        await world.arrive("bob")
        await world.delete("bob")

        with pytest.raises(UserDeleted):
            await rooms.place(channel, "bob")
        await world.arrive("owner")
        await world.delete("owner")
        with pytest.raises(UserDeleted):
            await rooms.place(channel, "cid")

    async def test_a_channel_at_its_bound_takes_no_one_new_and_takes_former_members_back(self, world: World) -> None:
        rooms = Rooms(world, UserBounds(channel_members=3))
        channel = await rooms.a_channel("ada", "bob")
        await rooms.remove(channel, "bob")

        with pytest.raises(BoundReached) as refused:
            await rooms.place(channel, "cid")
        assert (await rooms.place(channel, "ada", role="owner")).role == "owner"
        assert (await rooms.place(channel, "bob")).is_present

        assert (refused.value.bound, refused.value.limit) == ("channel_members", 3)
        assert await rooms.members(await rooms.a_channel("cid", "dan")) == ["cid", "dan", "owner"]

    async def test_a_batch_of_additions_is_counted_one_by_one(self, world: World) -> None:
        rooms = Rooms(world, UserBounds(channel_members=3))
        channels = [await rooms.a_channel("ada"), await rooms.a_channel()]
        additions: list[Keyed[PlaceMember | RemoveMember]] = [
            Keyed(rooms.placement(channel, user)) for user in ("bob", "ada", "cid", "bob") for channel in channels
        ]

        outcomes = await rooms.change_members(additions)

        assert [type(outcome) for outcome in outcomes[::2]] == [Member, Member, BoundReached, Member]
        assert [type(outcome) for outcome in outcomes[1::2]] == [Member, Member, BoundReached, Member]

    async def test_others_fill_no_bound_of_a_user(self, world: World) -> None:
        """The owner of a channel adds users without asking them."""
        rooms = Rooms(world, UserBounds(channels=1, channel_members=2))
        for stranger in ("bob", "cid", "dan"):
            await rooms.a_channel("ada", owner=stranger)

        assert len(await rooms.channels_of("ada")) == 3
        assert (await rooms.make(rooms.new_channel("ada"))).role == "owner"

    async def test_commands_of_one_batch_see_each_other(self, world: World) -> None:
        rooms = Rooms(world)
        channel = await rooms.a_channel()
        owner, ada = UserId("owner"), UserId("ada")

        outcomes = await rooms.change_members(
            [
                Keyed(rooms.placement(channel, ada, by=owner, role="owner")),
                Keyed(rooms.removal(channel, owner, by=ada)),
                Keyed(rooms.placement(channel, "bob", by=owner)),
            ]
        )

        assert [type(outcome) for outcome in outcomes] == [Member, Member, NotAMember]
        assert await rooms.members(channel) == ["ada"]
