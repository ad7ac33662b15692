"""How codes that only the legacy metadata knows are resolved, attributed and shown while a team moves in."""

import pytest

from tallystick.application.idempotency import Keyed
from tallystick.domain.flags import Flag
from tallystick.domain.users import Profile, UserId
from tests.worlds.world import World


class TestLegacyFallback:
    async def test_an_imported_code_resolves_while_the_fallback_is_on(self, world: World) -> None:
        await world.imported("ada", "1234", aliases=["5678"])
        assert [await world.resolve(code) for code in ("1234", "5678")] == ["unknown", "unknown"]

        world.fall_back()

        assert [await world.resolve(code) for code in ("1234", "5678", "9999")] == ["legacy", "legacy", "unknown"]
        assert world.metrics.counts["legacy_drift_found", "resolver"] == 2
        assert await world.owner("1234") is None

    @pytest.mark.parametrize("state", ["planned", "rolling_back", "rolled_back"])
    async def test_a_run_that_is_not_applied_brings_nothing_that_resolves(self, world: World, state: str) -> None:
        world.fall_back()
        await world.imported("ada", "1234")

        await world.run_is(state)
        assert await world.resolve("1234") == "unknown"

        await world.run_is("applying")
        assert await world.resolve("1234") == "legacy"

    async def test_the_code_book_wins_whatever_it_says(self, world: World) -> None:
        world.fall_back()
        for code, owner in (("AAAA", "bob"), ("BBBB", "cid"), ("CCCC", "dan")):
            await world.mint(owner, candidates=[code])
            await world.imported("ada", code, run=ord(code[0]))
        await world.remint("cid", candidates=["NEWER123"])
        await world.deliver("deleted", "dan")

        assert [await world.resolve(code) for code in ("AAAA", "BBBB", "CCCC")] == ["canonical", "alias", "unknown"]
        assert world.metrics.total("legacy_drift_found") == 0

    async def test_nothing_of_a_deleted_user_resolves(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234")
        await world.deliver("deleted", "ada")

        assert await world.resolve("1234") == "unknown"

    async def test_a_user_who_lost_a_code_does_not_adopt_it(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234", lost_to="bob")

        assert await world.resolve("1234") == "unknown"
        assert (await world.arrive("cid", "1234")).attribution == "none"

    async def test_of_two_runs_the_first_one_counts(self, world: World) -> None:
        world.fall_back()
        await world.imported("bob", "1234", run=2)
        await world.imported("ada", "1234", run=1)

        await world.arrive("cid", "1234")

        assert await world.inviter("cid") == "ada"


class TestBroughtCodes:
    @pytest.mark.parametrize("state", ["planned", "applying", "applied", "rolling_back"])
    async def test_nobody_is_minted_a_code_that_somebody_else_brings_along(self, world: World, state: str) -> None:
        await world.imported("ada", "ADA12345")
        await world.run_is(state)

        assert await world.mint("bob", candidates=["ADA12345", "BOB12345"]) == "BOB12345"
        assert world.metrics.total("collision_retries") == 1

    async def test_a_code_of_ones_own_that_was_lost_or_that_was_rolled_back_is_free(self, world: World) -> None:
        await world.imported("ada", "ADA12345")
        await world.imported("bob", "LOST1234", lost_to="ada")
        await world.imported("bob", "GONE1234", run=2)
        await world.run_is("rolled_back", run=2)

        assert await world.mint("ada", candidates=["ADA12345"]) == "ADA12345"
        assert await world.mint("cid", candidates=["LOST1234"]) == "LOST1234"
        assert await world.mint("dan", candidates=["GONE1234"]) == "GONE1234"


class TestAdoptCodes:
    async def test_an_imported_code_attributes_and_is_in_the_code_book_from_then_on(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234", aliases=["5678"])

        assert (await world.arrive("bob", "5678")).attribution == "recorded"

        edge = await world.edge("bob")
        assert edge is not None
        assert (edge.inviter_id, edge.code) == ("ada", "5678")
        assert [await world.resolve(code) for code in ("1234", "5678")] == ["canonical", "alias"]
        assert [await world.brought_by(code) for code in ("1234", "5678")] == [1, 1]
        assert world.metrics.counts["legacy_drift_found", "referrals"] == 1
        assert await world.broken_promises() == []

    async def test_a_canonical_code_stays_canonical(self, world: World) -> None:
        world.fall_back()
        own = await world.mint("ada")
        await world.imported("ada", "1234")

        await world.arrive("bob", "1234")

        assert await world.inviter("bob") == "ada"
        assert await world.code_of("ada") == own
        assert await world.resolve("1234") == "alias"
        assert await world.broken_promises() == []

    async def test_an_owner_who_lost_their_canonical_code_gets_a_new_one_and_never_an_older_one(
        self, world: World
    ) -> None:
        world.fall_back()
        await world.imported("ada", "LOST1234", lost_to="cid")
        await world.imported("ada", aliases=["5678", "1234"], run=2)

        await world.arrive("bob", "5678")

        assert await world.code_of("ada") not in {"LOST1234", "5678", "1234"}
        assert [await world.resolve(code) for code in ("5678", "1234")] == ["alias", "alias"]
        assert await world.inviter("bob") == "ada"
        assert await world.broken_promises() == []

    async def test_without_the_fallback_nothing_is_attributed_or_adopted(self, world: World) -> None:
        await world.imported("ada", "1234")

        assert (await world.arrive("bob", "1234")).attribution == "none"
        assert await world.owner("1234") is None
        assert await world.summary("ada") is None

    async def test_the_code_of_a_deleted_user_is_not_adopted(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234")
        await world.deliver("deleted", "ada")

        assert (await world.arrive("bob", "1234")).attribution == "none"
        assert await world.brought_by("1234") is None

    async def test_one_batch_adopts_for_many_and_once(self, world: World) -> None:
        world.fall_back()
        for number in range(5):
            await world.imported(f"owner{number}", f"1000{number}")

        for _ in range(2):
            await world.attribute_referrals(
                [Keyed(world.upsert(f"user{number}", f"1000{number % 5}")) for number in range(10)]
            )

        assert [await world.inviter(f"user{number}") for number in range(10)] == [f"owner{n % 5}" for n in range(10)]
        assert world.metrics.counts["legacy_drift_found", "referrals"] == 5
        assert await world.broken_promises() == []

    async def test_nobody_invites_themselves_by_an_imported_code(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234")

        assert (await world.arrive("ada", "1234")).attribution == "none"
        assert await world.inviter("ada") is None


class TestAdoptLegacyUsers:
    async def test_a_user_who_reads_their_link_finds_the_code_that_they_know(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234", aliases=["5678"])

        assert (await world.link("ada")).code == "1234"

        assert [await world.resolve(code) for code in ("1234", "5678")] == ["canonical", "alias"]
        assert [await world.brought_by(code) for code in ("1234", "5678")] == [1, 1]
        assert world.metrics.counts["legacy_drift_found", "mints"] == 2
        assert await world.broken_promises() == []

    async def test_a_remint_replaces_the_imported_code_which_becomes_an_alias(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234")

        reminted = await world.remint("ada")

        assert (reminted.alias, await world.code_of("ada")) == ("1234", reminted.code)
        assert await world.resolve("1234") == "alias"
        assert await world.broken_promises() == []

    async def test_a_delivery_mints_nothing_for_a_user_with_an_imported_code(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234")

        await world.deliver("created", "ada", profile=Profile(username="ada"))

        assert await world.code_of("ada") == "1234"
        assert await world.profile("ada") == Profile(username="ada")
        assert await world.broken_promises() == []

    async def test_a_delivery_about_who_leaves_brings_nothing(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "1234")

        await world.deliver("deleted", "ada")

        assert await world.brought_by("1234") is None

    async def test_a_user_who_lost_their_canonical_code_is_minted_a_new_one(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", aliases=["1234"])

        assert await world.mint("ada", candidates=["ADA12345"]) == "ADA12345"
        assert await world.resolve("1234") == "alias"
        assert await world.broken_promises() == []

    async def test_a_user_with_a_code_keeps_it(self, world: World) -> None:
        own = await world.mint("ada")
        world.fall_back()
        await world.imported("ada", "1234")

        assert await world.mint("ada") == own
        assert await world.resolve("1234") == "alias"

    async def test_without_the_fallback_everybody_is_minted_a_new_one(self, world: World) -> None:
        await world.imported("ada", "1234")

        assert await world.mint("ada") != "1234"
        await world.remint("ada")
        await world.deliver("created", "ada")
        assert await world.brought_by("1234") is None


class TestLegacyField:
    async def test_the_canonical_code_is_shown_while_the_code_book_is_the_source_of_truth(self, world: World) -> None:
        old = await world.mint("ada")
        new = (await world.remint("ada")).code
        await world.mirrors("ada", old)

        assert (await world.link("ada")).code == new
        assert await world.code_of("ada") == new

    async def test_else_the_code_of_the_legacy_field_is(self, world: World) -> None:
        world.flags.switch(Flag.TABLE_AS_SOT, enabled=False)
        old = await world.mint("ada")
        world.fall_back()
        new = (await world.remint("ada")).code
        assert await world.code_of("ada") == new

        await world.mirrored("ada")
        await world.mirrors("ada", old)

        assert await world.code_of("ada") == old
        assert (await world.link("ada")).code == old
        assert await world.resolve(new) == "canonical"

    async def test_nothing_is_shown_of_it_while_nothing_is_mirrored_to_it(self, world: World) -> None:
        world.flags.switch(Flag.TABLE_AS_SOT, enabled=False)
        world.fall_back()
        old = await world.mint("ada")
        assert await world.mirrored("ada") == old
        world.fall_back(on=False)

        new = (await world.remint("ada")).code

        assert await world.code_of("ada") == new != old

    async def test_where_nothing_was_mirrored_the_imported_canonical_code_is(self, world: World) -> None:
        world.flags.switch(Flag.TABLE_AS_SOT, enabled=False)
        await world.mint("ada")
        world.fall_back()
        await world.imported("ada", "1234", aliases=["0000"])
        await world.arrive("bob", "1234")

        assert await world.code_of("ada") == "1234"

    async def test_one_that_does_not_resolve_to_the_user_is_never_shown(self, world: World) -> None:
        world.flags.switch(Flag.TABLE_AS_SOT, enabled=False)
        world.fall_back()
        own, others = await world.mint("ada"), await world.mint("bob")

        for shown in (others, "NOBODYS1"):
            await world.mirrors("ada", shown)
            assert await world.code_of("ada") == own

    async def test_a_user_without_a_code_is_still_minted_one(self, world: World) -> None:
        world.flags.switch(Flag.TABLE_AS_SOT, enabled=False)
        await world.imported("ada", "1234")

        state = await world.link("ada")

        assert state.code is not None
        assert await world.resolve(state.code) == "canonical"


class TestMirrorMetadata:
    async def test_minted_and_reminted_codes_are_mirrored_while_the_fallback_is_on(self, world: World) -> None:
        world.fall_back()

        minted = await world.mint("ada")
        assert await world.mirrored("ada") == minted

        reminted = (await world.remint("ada")).code
        assert await world.mirrored("ada") == reminted

        await world.deliver("created", "bob")
        assert await world.mirrored("bob") == await world.code_of("bob")

    async def test_without_the_fallback_nothing_is(self, world: World) -> None:
        await world.mint("ada")
        await world.remint("ada")
        await world.deliver("created", "bob")

        assert [await world.mirrored("ada"), await world.mirrored("bob")] == [None, None]

    async def test_a_mint_that_is_run_again_after_a_lost_answer_is_mirrored_too(self, world: World) -> None:
        minted = await world.mint("ada")
        world.fall_back()

        await world.mint("ada")

        assert await world.mirrored("ada") == minted

    async def test_a_deleted_user_is_not_mirrored_any_more(self, world: World) -> None:
        world.fall_back()
        await world.mint("ada")
        assert await world.mirrored("ada") is not None

        await world.deliver("deleted", "ada")
        assert await world.mirrored("ada") is None

        async with world.transactions.begin() as stores:
            await stores.mirror.write([UserId("ada")], world.clock.now())
        assert await world.mirrored("ada") is None
