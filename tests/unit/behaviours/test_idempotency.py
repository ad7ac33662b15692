"""How a repeated key is answered: with the first answer, and without a second effect."""

from collections.abc import Sequence
from datetime import timedelta

import pytest

from tallystick.application.idempotency import IdempotencyMismatch, Keyed, Replayed
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.users import Profile, UserDeleted, UsernameTaken
from tests.worlds.world import World


class TestAnswerOnce:
    async def test_the_same_key_answers_the_first_reply_and_does_nothing(self, world: World) -> None:
        await world.mint("ada")
        first = await world.remint("ada", key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.remint("ada", key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.code_of("ada") == first.code

    async def test_where_every_request_was_answered_before_nothing_is_worked_on(self, world: World) -> None:
        worked: list[Sequence[int]] = []

        async def work(commands: Sequence[int]) -> Sequence[int]:
            worked.append(commands)
            return commands

        outcomes: list[object] = []
        for _ in range(2):
            async with world.transactions.begin() as stores:
                request = Keyed(7, world.key("ada", "k1", b"seven"))
                outcomes += await world.once(stores, [request], work)

        assert outcomes[0] == 7
        assert isinstance(outcomes[1], Replayed)
        assert worked == [[7]]

    async def test_another_request_under_the_same_key_is_refused(self, world: World) -> None:
        await world.arrive("ada", key="k1", profile=Profile(display_name="Ada"))

        with pytest.raises(IdempotencyMismatch):
            await world.arrive("ada", key="k1", profile=Profile(display_name="Eve"))

        assert (await world.profile("ada")).display_name == "Ada"

    async def test_another_users_same_key_is_another_matter(self, world: World) -> None:
        ada, bob = await world.remint("ada", key="k1"), await world.remint("bob", key="k1")

        assert ada.code != bob.code

    async def test_a_definite_refusal_is_the_first_answer_too(self, world: World) -> None:
        await world.arrive("ada", profile=Profile(username="queen"))
        with pytest.raises(UsernameTaken):
            await world.arrive("bob", key="k1", profile=Profile(username="queen"))
        await world.arrive("ada", profile=Profile(username="empress"))

        with pytest.raises(Replayed) as replayed:
            await world.arrive("bob", key="k1", profile=Profile(username="queen"))

        assert replayed.value.reply.body == b"USERNAME_TAKEN"

    async def test_a_caller_who_was_deleted_since_is_refused_as_deleted(self, world: World) -> None:
        await world.remint("ada", key="k1")
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.remint("ada", key="k1")

    async def test_a_refusal_that_may_pass_is_not_stored(self, world: World) -> None:
        await world.mint("bob", candidates=["BOB12345"])
        with pytest.raises(CodesExhausted):
            await world.remint("ada", candidates=["BOB12345"] * 8, key="k1")

        reminted = await world.remint("ada", key="k1")

        assert reminted.alias is None

    async def test_the_same_key_twice_in_one_batch_has_one_effect(self, world: World) -> None:
        first, second = await world.remint_codes(
            [
                world.remint_command("ada", ["NEW11111"], key="k1"),
                world.remint_command("ada", ["NEW22222"], key="k1"),
            ]
        )

        assert not isinstance(first, Exception)
        assert isinstance(second, Replayed)
        assert second.reply.body == repr(first).encode()
        assert await world.code_of("ada") == "NEW11111"

    async def test_commands_without_a_key_run_beside_replays(self, world: World) -> None:
        await world.arrive("ada", key="k1", profile=Profile(display_name="Ada"))
        again = Keyed(
            world.upsert("ada", profile=Profile(display_name="Ada")),
            world.key("ada", "k1", repr(((), Profile(display_name="Ada"))).encode()),
        )

        replay, fresh = await world.attribute_referrals([again, Keyed(world.upsert("bob"))])

        assert isinstance(replay, Replayed)
        assert not isinstance(fresh, Exception)

    async def test_old_replies_are_forgotten_and_young_ones_are_not(self, world: World) -> None:
        await world.remint("ada", key="old")
        world.pass_time(days=9)
        await world.remint("ada", key="young")

        async with world.transactions.begin() as stores:
            forgotten = await stores.idempotency.forget(before=world.clock.now() - timedelta(days=8), limit=10)

        assert forgotten == 1
        with pytest.raises(Replayed):
            await world.remint("ada", key="young")
        await world.remint("ada", key="old")

    async def test_no_more_answers_are_forgotten_at_once_than_asked_for(self, world: World) -> None:
        for number in range(3):
            await world.remint(f"user{number}", key="k1")
        world.pass_time(days=2)

        async with world.transactions.begin() as stores:
            before = world.clock.now()
            forgotten = [await stores.idempotency.forget(before=before, limit=2) for _ in range(3)]

        assert forgotten == [2, 1, 0]
