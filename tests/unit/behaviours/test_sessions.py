"""How sessions start and end, and how a password is changed."""

from datetime import timedelta

import pytest

from tallystick.application.idempotency import Replayed
from tallystick.application.sessions import Done, NewSession, PasswordChange, SignInRefused
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Unauthenticated
from tallystick.domain.sessions import LIFETIME, MAX_SESSIONS, Session, SessionId, WrongPassword
from tallystick.domain.users import UserDeleted, UserId
from tests.worlds.wallets import result
from tests.worlds.world import World

PASSWORD = "my password"


async def signed_up(world: World, user: str = "ada") -> None:
    invite = await world.an_invite()
    await world.sign_up(world.sign_up_command(user, invite.code, password=PASSWORD))


async def sign_in(world: World, user: str = "ada", password: str = PASSWORD) -> Session:
    world.pass_time(seconds=1)
    return await world.sign_in(f"{user}@example.org", password)


async def states(world: World, *sessions: Session) -> list[str]:
    return list(await world.check_callers([Principal(each.user_id, session=each.key) for each in sessions]))


class TestSessions:
    async def test_a_session_lives_for_a_week_and_has_a_name_of_its_own(self, world: World) -> None:
        await signed_up(world)

        first, second = await sign_in(world), await sign_in(world)

        assert first.session_id != second.session_id
        assert (first.created_at, first.expires_at) == (
            second.created_at - timedelta(seconds=1),
            first.created_at + LIFETIME,
        )
        assert await states(world, first, second) == ["known", "known"]

    async def test_signing_out_ends_this_session_and_no_other(self, world: World) -> None:
        for user in ("ada", "bob"):
            await signed_up(world, user)
        this, other, bobs = await sign_in(world), await sign_in(world), await sign_in(world, "bob")

        assert await world.sign_out(this) == Done()

        assert await states(world, this, other, bobs) == ["signed_out", "known", "known"]

    async def test_signing_out_again_is_harmless(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)

        assert [await world.sign_out(this), await world.sign_out(this)] == [Done(), Done()]

    async def test_signing_out_everywhere_ends_every_session_of_the_user_alone(self, world: World) -> None:
        for user in ("ada", "bob"):
            await signed_up(world, user)
        this, other, bobs = await sign_in(world), await sign_in(world), await sign_in(world, "bob")

        await world.sign_out(this, everywhere=True)

        assert await states(world, this, other, bobs) == ["signed_out", "signed_out", "known"]
        assert await states(world, await sign_in(world)) == ["known"]

    async def test_a_session_that_was_never_started_is_none(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        made_up = Session(UserId("bob"), this.session_id, this.created_at, this.expires_at)

        assert await states(world, made_up) == ["signed_out"]

    async def test_a_deleted_users_sessions_say_so_and_leave_nothing(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        await world.delete("ada")

        assert await states(world, this) == ["deleted"]
        assert await world.sessions_of("ada") == []

    async def test_tokens_and_sessions_are_looked_up_together(self, world: World) -> None:
        await signed_up(world)
        await world.arrive("gone")
        await world.delete("gone")
        this = await sign_in(world)
        callers = [Principal(UserId("gone")), Principal(this.user_id, session=this.key), Principal(UserId("nobody"))]

        assert await world.check_callers(callers) == ["deleted", "known", "known"]

    async def test_one_more_than_a_user_may_have_ends_the_oldest(self, world: World) -> None:
        await signed_up(world)
        sessions = [await sign_in(world) for _ in range(MAX_SESSIONS + 1)]

        assert await states(world, *sessions) == ["signed_out", *["known"] * MAX_SESSIONS]

    async def test_expired_sessions_are_forgotten_in_steps(self, world: World) -> None:
        await signed_up(world)
        old, older = await sign_in(world), await sign_in(world)
        world.pass_time(days=3)
        new = await sign_in(world)

        async with world.transactions.begin() as stores:
            before = old.expires_at + timedelta(days=1)
            assert [await stores.sessions.forget(before=before, limit=1) for _ in range(3)] == [1, 1, 0]

        assert await states(world, old, older, new) == ["signed_out", "signed_out", "known"]

    async def test_a_start_that_is_repeated_is_one(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)

        assert await world.start_session(NewSession(this, f"hash of {PASSWORD}")) == this
        assert await world.sessions_of("ada") == [this]

    async def test_a_sign_in_with_a_password_that_was_changed_meanwhile_starts_nothing(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        late = Session(UserId("ada"), SessionId("e" * 32), world.clock.now(), world.clock.now() + LIFETIME)
        await world.change_password(this, PASSWORD, "another one")

        with pytest.raises(SignInRefused):
            await world.start_session(NewSession(late, f"hash of {PASSWORD}"))

        assert await states(world, late) == ["signed_out"]


class TestChangePasswords:
    async def test_the_new_password_counts_and_the_old_one_no_more(self, world: World) -> None:
        await signed_up(world)

        assert await world.change_password(await sign_in(world), PASSWORD, "another one") == Done()

        with pytest.raises(SignInRefused):
            await sign_in(world)
        assert (await sign_in(world, password="another one")).user_id == "ada"

    async def test_every_other_session_of_the_user_ends(self, world: World) -> None:
        for user in ("ada", "bob"):
            await signed_up(world, user)
        this, other, bobs = await sign_in(world), await sign_in(world), await sign_in(world, "bob")

        await world.change_password(this, PASSWORD, "another one")

        assert await states(world, this, other, bobs) == ["known", "signed_out", "known"]

    async def test_a_wrong_one_changes_nothing(self, world: World) -> None:
        await signed_up(world)
        this, other = await sign_in(world), await sign_in(world)

        with pytest.raises(WrongPassword):
            await world.change_password(this, "no password", "another one")

        assert await states(world, this, other) == ["known", "known"]
        assert (await sign_in(world)).user_id == "ada"

    async def test_a_session_that_ended_meanwhile_changes_nothing(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        await world.sign_out(this)

        with pytest.raises(Unauthenticated):
            await world.change_password(this, PASSWORD, "another one")

        assert (await sign_in(world)).user_id == "ada"

    async def test_a_deleted_user_has_no_password_to_change(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        await world.delete("ada")

        with pytest.raises(UserDeleted):
            await world.change_password(this, PASSWORD, "another one")

    async def test_of_two_changes_in_one_batch_the_first_counts(self, world: World) -> None:
        await signed_up(world)
        this, other = await sign_in(world), await sign_in(world)
        changes = [
            await world.check_password(session.key, current=PASSWORD, new=f"of {session.session_id}")
            for session in (this, other)
        ]

        outcomes = await world.change_passwords_together(*changes)

        assert [type(outcome) for outcome in outcomes] == [Done, Unauthenticated]
        assert await states(world, this, other) == ["known", "signed_out"]

    async def test_one_that_was_committed_and_not_answered_is_done(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        change = PasswordChange(this.key, f"hash of {PASSWORD}", "hash of another one")

        outcomes = [(await world.change_passwords_together(change))[0] for _ in range(2)]

        assert outcomes == [Done(), Done()]

    async def test_the_same_key_answers_the_first_reply(self, world: World) -> None:
        await signed_up(world)
        this = await sign_in(world)
        await world.change_password(this, PASSWORD, "another one", key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.change_password(this, PASSWORD, "another one", key="k1")

        assert replayed.value.reply.body == repr(result(Done())).encode()
