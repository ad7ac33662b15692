"""How users come by invite: profile, credentials and seat together or not at all; and how they sign in."""

from datetime import timedelta

import pytest

from tallystick.application.idempotency import Replayed
from tallystick.application.sessions import SignInRefused
from tallystick.application.sign_up import SignedUp
from tallystick.domain.invites import AlreadyUsed, Invite, InviteExhausted, InviteExpired, InviteNotFound, InviteRevoked
from tallystick.domain.users import EmailTaken, Profile, UserDeleted, UserId, UsernameTaken
from tests.worlds.world import World


async def nothing_of(world: World, user: str, invite: Invite) -> bool:
    """Return whether a refused sign-up left neither profile nor credentials nor seat."""
    summary = await world.summary(user)
    is_bare = summary is None or (summary.user.profile, summary.otp_verified) == (Profile(), False)
    return is_bare and not await world.has_credentials(user) and user not in (await world.seats_and_counter(invite))[0]


class TestCompleteSignUps:
    async def test_profile_credentials_and_seat_are_stored_together(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5)

        signed_up = await world.sign_up(world.sign_up_command("ada", invite.code, username="queen"))

        assert signed_up == SignedUp()
        assert await world.profile("ada") == Profile("ada@example.org", "queen", "Ada", "+45 12 34 56 78")
        assert await world.has_credentials("ada")
        assert await world.seats_and_counter(invite) == (["ada"], 1)
        assert await world.broken_promises() == []

    @pytest.mark.parametrize("is_verified", [True, False])
    async def test_a_verified_phone_marks_the_otp(self, world: World, is_verified: bool) -> None:
        invite = await world.an_invite()

        await world.sign_up(world.sign_up_command("ada", invite.code, phone_verified=is_verified))

        summary = await world.summary("ada")
        assert summary is not None
        assert summary.otp_verified is is_verified

    async def test_a_taken_email_or_username_leaves_the_seat_free(self, world: World) -> None:
        invite = await world.an_invite(max_uses=1)
        await world.arrive("bob", profile=Profile(email="Taken@example.org", username="taken"))

        with pytest.raises(EmailTaken):
            await world.sign_up(world.sign_up_command("ada", invite.code, email="taken@EXAMPLE.org"))
        with pytest.raises(UsernameTaken):
            await world.sign_up(world.sign_up_command("ada", invite.code, username="taken", phone_verified=True))

        assert await nothing_of(world, "ada", invite)
        assert await world.sign_up(world.sign_up_command("ada", invite.code)) == SignedUp()

    async def test_without_a_seat_nobody_is_stored(self, world: World) -> None:
        exhausted, revoked = await world.an_invite(max_uses=1), await world.an_invite()
        expired = await world.an_invite(expires_in=timedelta(hours=1))
        await world.redeem("somebody", exhausted.code)
        await world.revoke(revoked)
        world.pass_time(hours=1)

        for invite, refusal in ((exhausted, InviteExhausted), (revoked, InviteRevoked), (expired, InviteExpired)):
            with pytest.raises(refusal):
                await world.sign_up(world.sign_up_command("ada", invite.code, phone_verified=True))
            assert await nothing_of(world, "ada", invite)
        with pytest.raises(InviteNotFound):
            await world.sign_up(world.sign_up_command("ada", "NOBODY99"))
        assert not await world.has_credentials("ada")

    async def test_the_refusal_of_the_seat_is_said_before_the_one_of_the_name(self, world: World) -> None:
        await world.arrive("bob", profile=Profile(email="taken@example.org"))

        with pytest.raises(InviteNotFound):
            await world.sign_up(world.sign_up_command("ada", "NOBODY99", email="taken@example.org"))

    async def test_a_new_attempt_is_refused_since_the_code_was_used(self, world: World) -> None:
        invite = await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code))

        with pytest.raises(AlreadyUsed):
            await world.sign_up(world.sign_up_command("ada", invite.code, username="another"))

        assert (await world.profile("ada")).username == "ada"
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_a_user_who_signed_up_takes_no_second_seat_by_another_code(self, world: World) -> None:
        first, second = await world.an_invite(), await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", first.code))

        with pytest.raises(AlreadyUsed):
            await world.sign_up(world.sign_up_command("ada", second.code))

        assert await world.seats_and_counter(second) == ([], 0)

    async def test_a_user_who_redeemed_the_code_before_has_used_it(self, world: World) -> None:
        invite = await world.an_invite()
        await world.redeem("ada", invite.code)

        with pytest.raises(AlreadyUsed):
            await world.sign_up(world.sign_up_command("ada", invite.code))

        assert not await world.has_credentials("ada")

    async def test_the_same_attempt_after_a_lost_answer_is_the_same_sign_up(self, world: World) -> None:
        invite = await world.an_invite(max_uses=1)
        command = world.sign_up_command("ada", invite.code, phone_verified=True)
        await world.sign_up(command)

        assert await world.sign_up(command) == SignedUp()
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_the_same_key_answers_the_first_reply(self, world: World) -> None:
        invite = await world.an_invite()
        first = await world.sign_up(world.sign_up_command("ada", invite.code), key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.sign_up(world.sign_up_command("ada", invite.code), key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_a_deleted_user_does_not_come_back(self, world: World) -> None:
        invite = await world.an_invite()
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.sign_up(world.sign_up_command("ada", invite.code))

        assert await nothing_of(world, "ada", invite)

    async def test_a_known_profile_is_replaced_by_the_one_that_the_user_sends(self, world: World) -> None:
        invite = await world.an_invite()
        await world.arrive("ada", profile=Profile(username="old", email="old@example.org"))

        await world.sign_up(world.sign_up_command("ada", invite.code, username="new"))

        assert (await world.profile("ada")).username == "new"
        await world.arrive("bob", profile=Profile(username="old", email="old@example.org"))

    async def test_without_a_password_one_signs_up_once_all_the_same(self, world: World) -> None:
        """An identity provider holds it: nothing to sign in with is stored, and a second seat is not given out."""
        invite, another = await world.an_invite(), await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code, password=None))

        with pytest.raises(AlreadyUsed):
            await world.sign_up(world.sign_up_command("ada", another.code, password=None))

        assert await world.seats_and_counter(invite) == (["ada"], 1)
        assert await world.seats_and_counter(another) == ([], 0)

    async def test_a_deleted_user_leaves_nothing_to_sign_in_with(self, world: World) -> None:
        invite = await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code))

        await world.deliver("deleted", "ada")

        kept = await world.reads(lambda stores: stores.directory.find([UserId("ada")]))
        assert kept[UserId("ada")].password_hash is None

    async def test_a_refused_user_leaves_not_even_a_name_behind(self, world: World) -> None:
        invite = await world.an_invite()
        await world.arrive("owner", profile=Profile(username="taken"))

        with pytest.raises(UsernameTaken):
            await world.sign_up(world.sign_up_command("ada", invite.code, username="taken"))

        assert await world.summary("ada") is None


class TestSignUpBatches:
    async def test_the_last_seat_goes_to_the_first_who_can_have_it(self, world: World) -> None:
        invite = await world.an_invite(max_uses=1)
        await world.arrive("owner", profile=Profile(username="taken"))

        outcomes = await world.sign_up_together(
            world.sign_up_command("ada", invite.code, username="taken"),
            world.sign_up_command("bob", invite.code),
            world.sign_up_command("carol", invite.code),
        )

        assert [type(each) for each in outcomes] == [UsernameTaken, SignedUp, InviteExhausted]
        assert await world.seats_and_counter(invite) == (["bob"], 1)
        assert await nothing_of(world, "ada", invite)
        assert await world.broken_promises() == []

    async def test_two_of_one_batch_cannot_have_one_name_or_address(self, world: World) -> None:
        invite = await world.an_invite(max_uses=5)

        outcomes = await world.sign_up_together(
            world.sign_up_command("ada", invite.code, username="queen", email="queen@example.org"),
            world.sign_up_command("bob", invite.code, username="queen"),
            world.sign_up_command("carol", invite.code, email="QUEEN@example.org"),
        )

        assert [type(each) for each in outcomes] == [SignedUp, UsernameTaken, EmailTaken]
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    async def test_one_user_twice_in_a_batch_signs_up_once(self, world: World) -> None:
        one, other = await world.an_invite(), await world.an_invite()

        outcomes = await world.sign_up_together(
            world.sign_up_command("ada", one.code),
            world.sign_up_command("ada", one.code),
            world.sign_up_command("ada", other.code),
        )

        assert [type(each) for each in outcomes] == [SignedUp, AlreadyUsed, AlreadyUsed]
        assert await world.seats_and_counter(one) == (["ada"], 1)
        assert await world.seats_and_counter(other) == ([], 0)


class TestSignIn:
    async def test_address_and_password_name_their_user(self, world: World) -> None:
        invite = await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code, email="Ada@example.org", password="my password"))

        assert (await world.sign_in("ada@EXAMPLE.org", "my password")).user_id == "ada"

    @pytest.mark.parametrize(
        ("email", "password"),
        [
            ("ada@example.org", "My password"),
            ("ada@example.org", ""),
            ("nobody@example.org", "my password"),
            ("bob@example.org", "my password"),
            ("", "my password"),
        ],
        ids=["another password", "no password", "an unknown address", "an address without credentials", "no address"],
    )
    async def test_anything_else_is_refused(self, world: World, email: str, password: str) -> None:
        invite = await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code, password="my password"))
        await world.arrive("bob", profile=Profile(email="bob@example.org"))

        with pytest.raises(SignInRefused):
            await world.sign_in(email, password)

    async def test_a_deleted_user_signs_in_no_more(self, world: World) -> None:
        invite = await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code, password="my password"))
        await world.deliver("deleted", "ada")

        with pytest.raises(SignInRefused):
            await world.sign_in("ada@example.org", "my password")

    async def test_a_new_address_is_the_one_that_counts(self, world: World) -> None:
        invite = await world.an_invite()
        await world.sign_up(world.sign_up_command("ada", invite.code, password="my password"))
        await world.arrive("ada", profile=Profile(email="new@example.org"))

        assert (await world.sign_in("new@example.org", "my password")).user_id == "ada"
        with pytest.raises(SignInRefused):
            await world.sign_in("ada@example.org", "my password")
