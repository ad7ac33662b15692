"""How codes are minted, reminted and resolved."""

import pytest

from tallystick.application.codes import Reminted
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.users import UserDeleted
from tests.worlds.world import World


class TestMintCodes:
    async def test_a_new_user_gets_a_code_that_resolves_at_once(self, world: World) -> None:
        code = await world.mint("ada")

        assert await world.resolve(code) == "canonical"
        assert await world.owner(code) == "ada"

    async def test_minting_again_answers_the_same_code(self, world: World) -> None:
        first = await world.mint("ada")

        assert await world.mint("ada") == first
        assert world.metrics.total("double_mint_attempts") == 1

    async def test_a_taken_candidate_is_passed_over_for_the_next_one(self, world: World) -> None:
        await world.mint("ada", candidates=["AAAA1111"])

        assert await world.mint("bob", candidates=["AAAA1111", "BBBB2222"]) == "BBBB2222"
        assert world.metrics.total("collision_retries") == 1
        assert await world.owner("AAAA1111") == "ada"

    async def test_eight_taken_candidates_are_enough(self, world: World) -> None:
        taken = [f"TAKEN{number}" for number in range(8)]
        for number, code in enumerate(taken):
            await world.mint(f"owner{number}", candidates=[code])

        assert isinstance(await world.mint_outcome("bob", candidates=taken), CodesExhausted)
        assert await world.peek("bob") == await world.peek("never-seen")

    async def test_the_eighth_candidate_still_counts(self, world: World) -> None:
        taken = [f"TAKEN{number}" for number in range(7)]
        for number, code in enumerate(taken):
            await world.mint(f"owner{number}", candidates=[code])

        assert await world.mint("bob", candidates=[*taken, "FREE1234"]) == "FREE1234"

    async def test_two_users_of_one_batch_may_draw_the_same_candidate(self, world: World) -> None:
        mints = [
            world.mint_command("ada", ["SAME1234", "ADA12345"]),
            world.mint_command("bob", ["SAME1234", "BOB12345"]),
        ]

        ada, bob = await world.mint_codes(mints)

        assert {await world.code_of("ada"), await world.code_of("bob")} < {"SAME1234", "ADA12345", "BOB12345"}
        assert ada != bob

    async def test_a_user_who_asks_twice_in_a_batch_has_one_code(self, world: World) -> None:
        first, second = await world.mint_codes(
            [world.mint_command("ada", ["ADA11111"]), world.mint_command("ada", ["ADA22222"])]
        )

        assert first == second
        assert await world.broken_promises() == []

    async def test_many_mints_of_one_user_in_a_batch_are_one_mint_and_as_many_attempts(self, world: World) -> None:
        await world.mint_codes([world.mint_command("ada") for _ in range(5)])

        assert len(world.metrics.values["time_to_code_seconds", ""]) == 1
        assert world.metrics.total("double_mint_attempts") == 4

    async def test_a_deleted_user_gets_none(self, world: World) -> None:
        await world.deliver("deleted", "ada")

        assert isinstance(await world.mint_outcome("ada"), UserDeleted)

    async def test_the_time_to_code_is_measured_from_the_first_question(self, world: World) -> None:
        command = world.mint_command("ada", ["ADA11111"])
        world.pass_time(milliseconds=250)

        await world.mint_codes([command])

        assert world.metrics.values["time_to_code_seconds", ""] == [0.25]


class TestRemintCodes:
    async def test_the_old_code_becomes_an_alias_that_resolves(self, world: World) -> None:
        old = await world.mint("ada")

        reminted = await world.remint("ada")

        assert reminted.alias == old
        assert await world.resolve(old) == "alias"
        assert await world.resolve(reminted.code) == "canonical"
        assert await world.owner(old) == "ada"
        assert world.metrics.total("alias_hits") == 1

    async def test_the_first_remint_of_a_user_without_a_code_is_a_mint(self, world: World) -> None:
        reminted = await world.remint("ada")

        assert reminted.alias is None
        assert await world.resolve(reminted.code) == "canonical"

    async def test_every_code_of_a_long_chain_resolves(self, world: World) -> None:
        codes = [await world.mint("ada")]
        for _ in range(5):
            world.pass_time(seconds=1)
            codes.append((await world.remint("ada")).code)

        assert [await world.owner(code) for code in codes] == ["ada"] * 6
        assert await world.broken_promises() == []

    async def test_nobody_else_ever_gets_an_alias(self, world: World) -> None:
        await world.mint("ada", candidates=["OLD12345"])
        await world.remint("ada", candidates=["NEW12345"])

        assert await world.mint("bob", candidates=["OLD12345", "BOB12345"]) == "BOB12345"

    async def test_a_remint_that_finds_no_free_code_changes_nothing(self, world: World) -> None:
        await world.mint("ada", candidates=["ADA12345"])
        await world.mint("bob", candidates=["BOB12345"])

        with pytest.raises(CodesExhausted):
            await world.remint("ada", candidates=["BOB12345"] * 8)

        assert await world.resolve("ADA12345") == "canonical"

    async def test_a_remint_that_is_run_again_after_a_lost_answer_answers_the_same(self, world: World) -> None:
        await world.mint("ada", candidates=["OLD12345"])
        drawn = ["NEW12345", *(f"SPARE{number}" for number in range(7))]
        first = await world.remint("ada", candidates=drawn)

        assert await world.remint("ada", candidates=drawn) == first
        assert first.alias == "OLD12345"

    async def test_two_remints_of_one_batch_that_is_run_again_make_two_codes_and_no_more(self, world: World) -> None:
        await world.mint("ada", candidates=["OLD12345"])
        batch = [
            world.remint_command("ada", ["FIRST111", "SPARE111"]),
            world.remint_command("ada", ["SECOND22", "SPARE222"]),
        ]
        await world.remint_codes(batch)

        again = await world.remint_codes(batch)

        assert [answer.code for answer in again if isinstance(answer, Reminted)] == ["SECOND22", "SECOND22"]
        assert [await world.resolve(code) for code in ("OLD12345", "FIRST111", "SECOND22")] == [
            "alias",
            "alias",
            "canonical",
        ]
        assert [await world.owner(code) for code in ("SPARE111", "SPARE222")] == [None, None]

    async def test_a_deleted_user_cannot_remint(self, world: World) -> None:
        await world.mint("ada")
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.remint("ada")


class TestResolveCodes:
    async def test_an_unknown_code_is_unknown(self, world: World) -> None:
        await world.mint("ada")

        assert await world.resolve("NOBODY99") == "unknown"

    async def test_text_without_a_normal_form_is_unknown(self, world: World) -> None:
        assert await world.resolve("!") == "unknown"

    async def test_a_code_resolves_however_it_is_typed(self, world: World) -> None:
        await world.mint("ada", candidates=["ABCD2345"])

        assert await world.resolve(" abcd-2345\n") == "canonical"

    async def test_neither_code_nor_alias_of_a_deleted_user_resolves(self, world: World) -> None:
        old = await world.mint("ada")
        new = (await world.remint("ada")).code

        await world.deliver("deleted", "ada")

        assert [await world.resolve(old), await world.resolve(new)] == ["unknown", "unknown"]

    async def test_one_batch_answers_every_kind_in_order(self, world: World) -> None:
        await world.mint("ada", candidates=["OLD12345"])
        await world.remint("ada", candidates=["NEW12345"])

        answers = await world.resolve_codes(["NEW12345", "", "OLD12345", "NONE1234", "NEW12345"])

        assert answers == ["canonical", "unknown", "alias", "unknown", "canonical"]
