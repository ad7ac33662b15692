"""How requests are stored and attributed."""

import pytest
from msgspec import UNSET

from tallystick.application.idempotency import Keyed
from tallystick.application.referrals import UpsertResult
from tallystick.domain.referrals import MAX_ATTEMPTS, MAX_RING
from tallystick.domain.users import EmailTaken, Profile, UserDeleted, UserId, UsernameTaken
from tests.worlds.world import World


class TestAttributeReferrals:
    async def test_the_first_code_names_the_inviter(self, world: World) -> None:
        code = await world.mint("ada")

        arrived = await world.arrive("bob", code)

        assert arrived.attribution == "recorded"
        assert await world.inviter("bob") == "ada"

    async def test_an_alias_names_its_owner_too(self, world: World) -> None:
        old = await world.mint("ada")
        await world.remint("ada")

        assert (await world.arrive("bob", old)).attribution == "recorded"
        assert await world.inviter("bob") == "ada"

    async def test_the_first_inviter_stays_whatever_is_sent_later(self, world: World) -> None:
        adas, carols = await world.mint("ada"), await world.mint("carol")
        await world.arrive("bob", adas)

        later = [(await world.arrive("bob", code)).attribution for code in (carols, adas, None, "NONE1234")]

        assert later == ["kept"] * 4
        assert await world.inviter("bob") == "ada"
        assert world.metrics.total("attribution_overwrite_attempts") == 1

    async def test_an_upsert_without_a_code_can_be_attributed_later(self, world: World) -> None:
        code = await world.mint("ada")
        assert (await world.arrive("bob")).attribution == "none"

        assert (await world.arrive("bob", code)).attribution == "recorded"

    @pytest.mark.parametrize("text", ["NONE1234", "!", ""])
    async def test_a_code_that_is_nobodys_attributes_nothing(self, world: World, text: str) -> None:
        assert (await world.arrive("bob", text)).attribution == "none"
        assert await world.inviter("bob") is None

    async def test_nobody_invites_themselves(self, world: World) -> None:
        own = await world.mint("ada")

        assert (await world.arrive("ada", own)).attribution == "none"
        assert await world.inviter("ada") is None

    async def test_two_users_cannot_invite_each_other(self, world: World) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")
        await world.arrive("bob", adas)

        assert (await world.arrive("ada", bobs)).attribution == "none"
        assert await world.inviter("ada") is None

    @pytest.mark.parametrize("length", [3, 4, 10, MAX_RING])
    async def test_a_ring_is_refused_wherever_it_would_be_closed(self, world: World, length: int) -> None:
        users = [f"user-{number}" for number in range(length)]
        codes = [await world.mint(user) for user in users]
        for number in range(1, length):
            assert (await world.arrive(users[number], codes[number - 1])).attribution == "recorded"

        closing = await world.arrive(users[0], codes[-1])

        assert (closing.attribution, closing.attribution_reason) == ("none", "cycle")
        assert await world.inviter(users[0]) is None
        assert (await world.arrive(users[0], await world.mint("somebody"))).attribution == "recorded"
        assert await world.broken_promises() == []

    async def test_two_chains_that_are_joined_make_no_ring(self, world: World) -> None:
        codes = {user: await world.mint(user) for user in ("a1", "a2", "a3", "b1", "b2", "b3")}
        for invitee, inviter in (("a2", "a1"), ("a3", "a2"), ("b2", "b1"), ("b3", "b2")):
            await world.arrive(invitee, codes[inviter])

        assert (await world.arrive("a1", codes["b3"])).attribution == "recorded"
        assert (await world.arrive("b1", codes["a3"])).attribution_reason == "cycle"

    @pytest.mark.parametrize("length", [3, 4, 7])
    async def test_those_who_would_make_a_ring_in_one_batch_make_a_chain(self, world: World, length: int) -> None:
        users = [f"user-{number}" for number in range(length)]
        codes = [await world.mint(user) for user in users]
        order = [*range(0, length, 2), *range(1, length, 2)]

        outcomes = await world.attribute_referrals(
            [Keyed(world.upsert(users[number], codes[number - 1])) for number in order]
        )

        reasons = [outcome.attribution_reason for outcome in outcomes if isinstance(outcome, UpsertResult)]
        assert reasons == [UNSET] * (length - 1) + ["cycle"]
        assert [await world.inviter(user) for user in users].count(None) == 1

    async def test_a_ring_through_chains_from_before_the_batch_is_refused_in_it(self, world: World) -> None:
        adas, bobs, deeps = [await world.mint(user) for user in ("ada", "bob", "deep")]
        await world.arrive("mid", adas)
        await world.arrive("deep", await world.mint("mid"))

        outcomes = await world.attribute_referrals(
            [Keyed(world.upsert("ada", bobs)), Keyed(world.upsert("bob", deeps))]
        )

        assert [outcome.attribution for outcome in outcomes if isinstance(outcome, UpsertResult)] == [
            "recorded",
            "none",
        ]

    async def test_why_nobody_was_recorded_is_answered(self, world: World) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")
        answers = [
            await world.arrive("bob"),
            await world.arrive("bob", "NONE1234"),
            await world.arrive("bob", "!"),
            await world.arrive("bob", bobs),
            await world.arrive("bob", adas),
            await world.arrive("bob", adas),
            await world.arrive("ada", bobs),
        ]

        assert [answer.attribution_reason for answer in answers] == [
            *("no_code", "not_found", "not_found", "self", UNSET, "kept", "cycle")
        ]

    async def test_of_several_codes_the_first_that_is_a_living_users_counts(self, world: World) -> None:
        adas, carols = await world.mint("ada"), await world.mint("carol")
        gone = await world.mint("gone")
        await world.deliver("deleted", "gone")

        arrived = await world.arrive("bob", "NONE1234", gone, adas, carols)

        assert arrived.attribution == "recorded"
        assert await world.inviter("bob") == "ada"
        assert [attempt.reason for attempt in await world.attempts("bob")] == ["not_found"] * 2

    async def test_two_who_name_each_other_in_one_batch_make_one_edge(self, world: World) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")

        await world.attribute_referrals([Keyed(world.upsert("ada", bobs)), Keyed(world.upsert("bob", adas))])

        assert [await world.inviter("ada"), await world.inviter("bob")].count(None) == 1
        assert await world.broken_promises() == []

    async def test_the_code_of_a_deleted_user_attributes_nothing(self, world: World) -> None:
        code = await world.mint("ada")
        await world.deliver("deleted", "ada")

        assert (await world.arrive("bob", code)).attribution == "none"

    async def test_an_edge_outlives_the_inviters_remint_and_deletion(self, world: World) -> None:
        await world.arrive("bob", await world.mint("ada"))

        await world.remint("ada")
        await world.deliver("deleted", "ada")

        assert await world.inviter("bob") == "ada"
        assert (await world.arrive("bob")).attribution == "kept"

    async def test_a_deleted_user_cannot_arrive(self, world: World) -> None:
        code = await world.mint("ada")
        await world.deliver("deleted", "bob")

        with pytest.raises(UserDeleted):
            await world.arrive("bob", code)
        assert await world.inviter("bob") is None

    async def test_the_same_upsert_again_after_a_lost_answer_is_the_one_that_recorded(self, world: World) -> None:
        upsert = world.upsert("bob", await world.mint("ada"))

        first = await world.attribute_referrals([Keyed(upsert)])

        assert await world.attribute_referrals([Keyed(upsert)]) == first

    async def test_one_batch_takes_many_invitees_of_one_inviter(self, world: World) -> None:
        code = await world.mint("ada")

        await world.attribute_referrals([Keyed(world.upsert(f"user{number}", code)) for number in range(20)])

        summary = await world.summary("ada")
        assert summary is not None
        assert summary.user.referrals == 20
        assert await world.broken_promises() == []


class TestAttributionAttempts:
    async def test_a_code_that_attributed_nothing_leaves_why_and_when(self, world: World) -> None:
        await world.arrive("bob", "none-1234")

        (attempt,) = await world.attempts("bob")

        assert (attempt.user_id, attempt.reason, attempt.attempted_at) == ("bob", "not_found", world.clock.now())
        assert {attempt.code_digest} == world.digests.candidates(" NONE1234 ")
        assert "NONE1234" not in attempt.code_digest

    async def test_one_that_attributed_leaves_nothing(self, world: World) -> None:
        code = await world.mint("ada")

        await world.arrive("bob", code)
        await world.arrive("bob", code)
        await world.arrive("carol")

        assert [await world.attempts(user) for user in ("bob", "carol")] == [[], []]

    async def test_each_reason_is_distinguished(self, world: World) -> None:
        adas, bobs, carols = [await world.mint(user) for user in ("ada", "bob", "carol")]
        await world.arrive("ada", adas)
        await world.arrive("bob", adas)
        await world.arrive("ada", bobs)
        await world.arrive("bob", carols)
        await world.arrive("bob", "!")

        assert {attempt.reason for attempt in await world.attempts("ada")} == {"self", "cycle"}
        assert {attempt.reason for attempt in await world.attempts("bob")} == {"kept", "not_found"}

    async def test_the_same_code_again_is_one_attempt_with_its_last_time(self, world: World) -> None:
        await world.arrive("bob", "NONE1234")
        world.pass_time(hours=1)
        upsert = world.upsert("bob", "NONE1234", "none1234")

        await world.attribute_referrals([Keyed(upsert), Keyed(upsert)])

        (attempt,) = await world.attempts("bob")
        assert attempt.attempted_at == world.clock.now()

    async def test_the_last_ones_of_each_user_are_kept(self, world: World) -> None:
        await world.arrive("carol", "NONE1234")
        for number in range(MAX_ATTEMPTS + 5):
            world.pass_time(seconds=1)
            await world.arrive("bob", f"NONE{number:04}")

        kept = await world.attempts("bob")

        assert len(kept) == MAX_ATTEMPTS
        assert [attempt.code_digest for attempt in kept] == [
            world.digests.sent(f"NONE{number:04}").digest for number in reversed(range(5, MAX_ATTEMPTS + 5))
        ]
        assert len(await world.attempts("carol")) == 1

    async def test_they_go_with_their_user(self, world: World) -> None:
        await world.arrive("bob", "NONE1234")
        await world.arrive("carol", "NONE1234")

        await world.delete("bob")

        assert await world.attempts("bob") == []
        assert len(await world.attempts("carol")) == 1

    async def test_a_refused_profile_leaves_none(self, world: World) -> None:
        await world.arrive("ada", profile=Profile(username="queen"))

        with pytest.raises(UsernameTaken):
            await world.arrive("bob", "NONE1234", profile=Profile(username="queen"))

        assert await world.attempts("bob") == []


class TestProfiles:
    async def test_sent_fields_are_stored_and_the_others_stay(self, world: World) -> None:
        await world.arrive("ada", profile=Profile("ada@example.org", "ada", "Ada", "+4512345678"))

        await world.arrive("ada", profile=Profile(display_name="Countess"))

        assert await world.profile("ada") == Profile("ada@example.org", "ada", "Countess", "+4512345678")

    async def test_an_email_address_is_one_living_users_without_regard_to_case(self, world: World) -> None:
        await world.arrive("ada", profile=Profile(email="Ada@Example.org"))

        with pytest.raises(EmailTaken):
            await world.arrive("bob", profile=Profile(email="ada@example.ORG"))

    async def test_a_username_is_one_living_users(self, world: World) -> None:
        await world.arrive("ada", profile=Profile(username="queen"))

        with pytest.raises(UsernameTaken):
            await world.arrive("bob", profile=Profile(username="queen"))

    async def test_a_refused_profile_leaves_no_trace(self, world: World) -> None:
        code = await world.mint("ada")
        await world.arrive("ada", profile=Profile(username="queen"))

        with pytest.raises(UsernameTaken):
            await world.arrive("bob", code, profile=Profile(username="queen", display_name="B"), phone_verified=True)

        assert await world.summary("bob") is None
        assert await world.inviter("bob") is None
        assert not (await world.link("bob")).otp_verified

    async def test_ones_own_claims_are_no_conflict(self, world: World) -> None:
        profile = Profile(email="ada@example.org", username="ada")
        await world.arrive("ada", profile=profile)

        await world.arrive("ada", profile=profile)

        assert await world.profile("ada") == profile

    async def test_a_claim_that_was_given_up_is_free(self, world: World) -> None:
        await world.arrive("ada", profile=Profile(email="one@example.org", username="one"))
        await world.arrive("ada", profile=Profile(email="two@example.org", username="two"))

        await world.arrive("bob", profile=Profile(email="one@example.org", username="one"))

        assert (await world.profile("bob")).username == "one"

    async def test_a_claim_can_be_given_up_and_taken_in_one_batch(self, world: World) -> None:
        await world.arrive("zoe", profile=Profile(username="one"))

        await world.attribute_referrals(
            [
                Keyed(world.upsert("zoe", profile=Profile(username="two"))),
                Keyed(world.upsert("ada", profile=Profile(username="one"))),
            ]
        )

        assert (await world.profile("ada")).username == "one"
        assert (await world.profile("zoe")).username == "two"

    async def test_of_two_who_claim_the_same_in_one_batch_the_first_has_it(self, world: World) -> None:
        first, second = await world.attribute_referrals(
            [
                Keyed(world.upsert("ada", profile=Profile(email="same@example.org"))),
                Keyed(world.upsert("bob", profile=Profile(email="SAME@example.org"))),
            ]
        )

        assert not isinstance(first, Exception)
        assert isinstance(second, EmailTaken)

    async def test_a_user_is_found_by_email_without_regard_to_case(self, world: World) -> None:
        await world.arrive("ada", profile=Profile(email="Ada@example.org"))
        code = await world.mint("ada")

        summary = await world.by_email("aDA@example.org")

        assert summary is not None
        assert (summary.user.user_id, summary.code) == ("ada", code)
        assert await world.by_email("nobody@example.org") is None

    async def test_a_phone_once_verified_stays_verified(self, world: World) -> None:
        assert (await world.arrive("ada", phone_verified=True)).otp_verified

        assert (await world.arrive("ada", phone_verified=False)).otp_verified
        assert (await world.arrive("ada", profile=Profile(phone="+4587654321"))).otp_verified


class TestLeaderboard:
    async def test_most_referrals_come_first_and_those_without_any_do_not_come(self, world: World) -> None:
        await _with_referrals(world, {"ada": 1, "bob": 3, "carol": 2, "dora": 0})

        assert [(leader.user_id, leader.referrals) for leader in await world.leaders()] == [
            ("bob", 3),
            ("carol", 2),
            ("ada", 1),
        ]

    async def test_pages_go_on_where_the_last_one_ended(self, world: World) -> None:
        await _with_referrals(world, {"ada": 2, "bob": 2, "carol": 2, "dora": 1, "eve": 1})
        seen: list[UserId] = []
        after: tuple[int, UserId] | None = None

        while page := await world.leaders(limit=2, after=after):
            seen += [leader.user_id for leader in page]
            after = (page[-1].referrals, page[-1].user_id)

        assert seen == ["ada", "bob", "carol", "dora", "eve"]

    async def test_names_are_shown_and_deleted_users_are_not(self, world: World) -> None:
        await _with_referrals(world, {"ada": 2, "bob": 1, "carol": 3})
        await world.arrive("ada", profile=Profile(display_name="Ada", username="queen", email="a@example.org"))
        await world.arrive("bob", profile=Profile(username="bobby"))
        await world.deliver("deleted", "carol")

        assert [leader.display_name for leader in await world.leaders()] == ["Ada", "bobby"]

    async def test_the_globe_shows_everybody_who_lives(self, world: World) -> None:
        await _with_referrals(world, {"ada": 1})
        await world.mint("zoe")
        await world.deliver("deleted", "gone")

        nodes = await world.reads(lambda stores: stores.leaderboard.most_connected(10))

        assert nodes == [("ada", 1), ("ada-0", 0), ("zoe", 0)]


async def _with_referrals(world: World, referrals: dict[str, int]) -> None:
    for user, count in referrals.items():
        code = await world.mint(user)
        for number in range(count):
            await world.arrive(f"{user}-{number}", code)
