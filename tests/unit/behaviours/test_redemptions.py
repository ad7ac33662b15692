"""How seats are taken: at most as many as there are, at most one each."""

from datetime import timedelta

import pytest

from tallystick.application.idempotency import IdempotencyMismatch, Replayed
from tallystick.application.invites import Redeemed
from tallystick.domain.invites import AlreadyUsed, InviteExhausted, InviteExpired, InviteNotFound, InviteRevoked
from tallystick.domain.users import UserDeleted
from tests.worlds.world import World


class TestRedeemInvites:
    async def test_a_seat_is_taken_and_one_less_remains(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5)

        redeemed = await world.redeem("ada", invite.code)

        assert redeemed == Redeemed(invite.invite_id, invite.code, world.clock.now(), 4)
        assert await world.seats_and_counter(invite) == (["ada"], 1)
        assert await world.broken_promises() == []

    async def test_the_code_counts_however_it_was_typed(self, world: World) -> None:
        await world.an_invite(code="ABCD1234")

        assert (await world.redeem("ada", " abcd-1234 ")).code == "ABCD1234"

    @pytest.mark.parametrize("code", ["NOBODY99", "!", "", "ＡＢＣＤ1234"])
    async def test_codes_that_are_no_invites_are_not_found(self, world: World, code: str) -> None:
        await world.an_invite(code="ABCD1234")

        with pytest.raises(InviteNotFound):
            await world.redeem("ada", code)

    async def test_a_referral_code_is_no_invite(self, world: World) -> None:
        with pytest.raises(InviteNotFound):
            await world.redeem("ada", await world.mint("bob"))

    async def test_the_last_seat_is_taken_and_the_next_one_is_refused(self, world: World) -> None:
        invite = await world.an_invite(max_uses=2)
        await world.redeem("ada", invite.code)

        assert (await world.redeem("bob", invite.code)).remaining == 0
        with pytest.raises(InviteExhausted):
            await world.redeem("carol", invite.code)

        assert await world.seats_and_counter(invite) == (["ada", "bob"], 2)
        assert await world.broken_promises() == []

    async def test_a_user_has_one_seat_in_an_invite(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5)
        await world.redeem("ada", invite.code)

        with pytest.raises(AlreadyUsed, match="You have already used this invite code"):
            await world.redeem("ada", invite.code)

        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_another_invite_is_another_matter(self, world: World) -> None:
        first, second = await world.an_invite(), await world.an_invite()
        await world.redeem("ada", first.code)

        await world.redeem("ada", second.code)

        assert await world.seats_and_counter(second) == (["ada"], 1)

    async def test_an_invite_ends_at_its_moment_and_not_before(self, world: World) -> None:
        invite = await world.an_invite(expires_in=timedelta(hours=1))
        world.pass_time(hours=1, microseconds=-1)
        await world.redeem("ada", invite.code)

        world.pass_time(microseconds=1)

        with pytest.raises(InviteExpired):
            await world.redeem("bob", invite.code)
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_a_revoked_invite_gives_no_seat(self, world: World) -> None:
        invite = await world.an_invite()
        await world.revoke(invite)

        with pytest.raises(InviteRevoked):
            await world.redeem("ada", invite.code)

        assert await world.seats_and_counter(invite) == ([], 0)

    async def test_the_refusals_come_in_their_written_order(self, world: World) -> None:
        async def refusals() -> list[type]:
            """Return the answers to a user with a seat and to one without."""
            both = [world.redemption(user, invite.code) for user in ("ada", "bob")]
            return [type(outcome) for outcome in await world.redeem_together(*both)]

        invite = await world.an_invite(max_uses=1, expires_in=timedelta(hours=1))
        await world.redeem("ada", invite.code)

        assert await refusals() == [AlreadyUsed, InviteExhausted]
        await world.revoke(invite)
        assert await refusals() == [AlreadyUsed, InviteRevoked]
        world.pass_time(hours=1)
        assert await refusals() == [AlreadyUsed, InviteExpired]

    async def test_a_deleted_user_takes_no_seat(self, world: World) -> None:
        invite = await world.an_invite()
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.redeem("ada", invite.code)

        assert await world.seats_and_counter(invite) == ([], 0)


class TestRepeatedRedemptions:
    async def test_the_same_attempt_after_a_lost_answer_is_the_same_seat(self, world: World) -> None:
        invite = await world.an_invite(max_uses=1)
        first = await world.redeem("ada", invite.code, attempt="attempt-1")
        world.pass_time(hours=1)

        again = await world.redeem("ada", invite.code, attempt="attempt-1")

        assert again == first
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_it_is_so_even_where_the_invite_was_revoked_meanwhile(self, world: World) -> None:
        invite = await world.an_invite()
        first = await world.redeem("ada", invite.code, attempt="attempt-1")
        await world.revoke(invite)

        assert await world.redeem("ada", invite.code, attempt="attempt-1") == first

    async def test_more_users_in_a_batch_than_seats(self, world: World) -> None:
        invite = await world.an_invite(max_uses=3)
        users = [f"user-{number}" for number in range(5)]

        outcomes = await world.redeem_together(*(world.redemption(user, invite.code) for user in users))

        assert [type(each) for each in outcomes] == [Redeemed] * 3 + [InviteExhausted] * 2
        assert [each.remaining for each in outcomes if isinstance(each, Redeemed)] == [2, 1, 0]
        assert await world.seats_and_counter(invite) == (users[:3], 3)
        assert await world.broken_promises() == []

    async def test_one_user_twice_in_a_batch_has_one_seat(self, world: World) -> None:
        invite = await world.an_invite(max_uses=2)

        outcomes = await world.redeem_together(*(world.redemption(user, invite.code) for user in ("ada", "ada", "bob")))

        assert [type(each) for each in outcomes] == [Redeemed, AlreadyUsed, Redeemed]
        assert await world.seats_and_counter(invite) == (["ada", "bob"], 2)

    async def test_one_attempt_twice_in_a_batch_is_one_seat(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5)
        attempt = world.redemption("ada", invite.code)

        first, again = await world.redeem_together(attempt, attempt)

        assert first == again
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_several_invites_in_a_batch_are_counted_one_by_one(self, world: World) -> None:
        one, other = await world.an_invite(max_uses=1), await world.an_invite(max_uses=1)
        await world.deliver("deleted", "gone")

        outcomes = await world.redeem_together(
            world.redemption("ada", one.code),
            world.redemption("gone", other.code),
            world.redemption("ada", other.code),
            world.redemption("bob", one.code),
            world.redemption("bob", "NOBODY99"),
        )

        assert [type(each) for each in outcomes] == [Redeemed, UserDeleted, Redeemed, InviteExhausted, InviteNotFound]
        assert await world.broken_promises() == []

    async def test_the_same_key_answers_the_first_reply_and_takes_nothing(self, world: World) -> None:
        invite, other = await world.an_invite(), await world.an_invite()
        first = await world.redeem("ada", invite.code, key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.redeem("ada", invite.code, key="k1")
        with pytest.raises(IdempotencyMismatch):
            await world.redeem("ada", other.code, key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.seats_and_counter(invite) == (["ada"], 1)
        assert await world.seats_and_counter(other) == ([], 0)

    async def test_another_users_same_key_is_another_matter(self, world: World) -> None:
        invite = await world.an_invite()

        for user in ("ada", "bob"):
            await world.redeem(user, invite.code, key="k1")

        assert await world.seats_and_counter(invite) == (["ada", "bob"], 2)
