"""How invites are made and taken back, and who sees which seats."""

from datetime import timedelta

import pytest

from tallystick.application.idempotency import Keyed, Replayed
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.invites import CodeTaken, Invite, InviteNotFound
from tallystick.domain.users import UserDeleted
from tests.worlds.world import World


class TestMakeInvites:
    async def test_a_new_invite_has_every_seat_free(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5, code="WELCOME")

        assert (invite.code, invite.owner_id, invite.max_uses) == ("WELCOME", "owner", 5)
        assert (invite.current_uses, invite.remaining, invite.revoked_at) == (0, 5, None)
        assert await world.invite(invite) == invite

    async def test_a_code_that_was_chosen_is_refused_where_it_is_taken(self, world: World) -> None:
        first = await world.an_invite(code="WELCOME", owner="ada")

        with pytest.raises(CodeTaken):
            await world.an_invite(code="WELCOME", owner="bob")

        assert (await world.invite(first)).owner_id == "ada"

    async def test_a_code_that_was_drawn_is_passed_over_where_it_is_taken(self, world: World) -> None:
        await world.an_invite(code="TAKEN123")

        invite = await world.make(world.new_invite(codes=["TAKEN123", "FREE1234"]))

        assert invite.code == "FREE1234"

    async def test_where_every_drawn_code_is_taken_another_try_may_help(self, world: World) -> None:
        await world.an_invite(code="TAKEN123")

        with pytest.raises(CodesExhausted):
            await world.make(world.new_invite(codes=["TAKEN123"] * 8), key="k1")

        assert (await world.make(world.new_invite(codes=["FREE1234"]), key="k1")).code == "FREE1234"

    async def test_the_same_invite_after_a_lost_answer_is_one_invite(self, world: World) -> None:
        command = world.new_invite(codes=["WELCOME"])
        first = await world.make(command)

        assert await world.make(command) == first

    async def test_two_of_one_batch_cannot_have_one_code(self, world: World) -> None:
        commands = [world.new_invite(codes=["WELCOME"]) for _ in range(2)]

        outcomes = await world.make_invites([Keyed(command) for command in commands])

        assert [type(outcome) for outcome in outcomes] == [Invite, CodeTaken]

    async def test_the_same_key_answers_the_first_reply_and_makes_nothing(self, world: World) -> None:
        first = await world.make(world.new_invite(codes=["FIRST123"]), key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.make(world.new_invite(codes=["SECOND12"]), key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert (await world.an_invite(code="SECOND12")).code == "SECOND12"

    async def test_nobody_who_was_deleted_makes_an_invite(self, world: World) -> None:
        await world.arrive("ada")
        await world.delete("ada")
        late, living = world.new_invite(owner="ada", codes=["ADAS1111"]), world.new_invite(owner="bob")

        outcomes = await world.make_invites([Keyed(command) for command in (late, living)])

        assert [type(outcome) for outcome in outcomes] == [UserDeleted, Invite]
        with pytest.raises(InviteNotFound):
            await world.redeem("cid", "ADAS1111")


class TestRevokeInvites:
    async def test_its_owner_takes_an_invite_back_and_seats_are_kept(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5)
        await world.redeem("ada", invite.code)
        world.pass_time(hours=1)

        revoked = await world.revoke(invite)

        assert revoked.revoked_at == world.clock.now()
        assert await world.seats_and_counter(invite) == (["ada"], 1)
        assert await world.broken_promises() == []

    async def test_taking_it_back_again_answers_the_first_time(self, world: World) -> None:
        invite = await world.an_invite()
        first = await world.revoke(invite)
        world.pass_time(hours=1)

        assert await world.revoke(invite) == first

    async def test_somebody_elses_invite_does_not_exist_but_for_managers(self, world: World) -> None:
        invite = await world.an_invite(owner="owner")

        with pytest.raises(InviteNotFound):
            await world.revoke(invite, by="eve")
        assert (await world.invite(invite)).revoked_at is None

        assert (await world.revoke(invite, by="manager", manages=True)).revoked_at is not None

    async def test_an_unknown_invite_does_not_exist_for_managers_either(self, world: World) -> None:
        invite = await world.an_invite()
        unknown = world.new_invite(invite_id="nothing")

        with pytest.raises(InviteNotFound):
            await world.revoke(
                Invite(unknown.invite_id, invite.code, invite.owner_id, 1, 0, None, None, invite.created_at),
                manages=True,
            )


class TestSeatPages:
    async def test_pages_are_the_oldest_first_and_stable_under_new_seats(self, world: World) -> None:
        invite = await world.an_invite(max_uses=9)
        for user in ("eve", "dan", "cleo"):
            await world.redeem(user, invite.code)
        world.pass_time(seconds=1)
        for user in ("bob", "ada"):
            await world.redeem(user, invite.code)

        first = await world.seats(invite, limit=2)
        world.pass_time(seconds=1)
        await world.redeem("zoe", invite.code)
        second = await world.seats(invite, after=(first[-1].used_at, first[-1].user_id), limit=2)
        last = await world.seats(invite, after=(second[-1].used_at, second[-1].user_id), limit=9)

        pages = [[use.user_id for use in page] for page in (first, second, last)]
        assert pages == [["cleo", "dan"], ["eve", "ada"], ["bob", "zoe"]]

    async def test_an_invite_lists_its_own_seats_alone(self, world: World) -> None:
        one, other = await world.an_invite(), await world.an_invite()
        await world.redeem("ada", one.code)
        await world.redeem("bob", other.code)

        assert [use.user_id for use in await world.seats(one)] == ["ada"]

    async def test_an_unused_invite_has_none(self, world: World) -> None:
        assert await world.seats(await world.an_invite(expires_in=timedelta(days=1))) == []
