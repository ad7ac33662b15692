"""Flags: how they are switched, which are refused, and how a process follows switches of others."""

import asyncpg
import pytest

from tallystick.adapters.memory.tables import ConstraintViolated
from tallystick.application.idempotency import IdempotencyMismatch, Replayed
from tallystick.domain.flags import Flag, FlagLocked, FlagPinned, FlagState, Switch
from tests.worlds.switchboards import DEFAULTS, LOCKED, Switchboard
from tests.worlds.world import World

POINTS, WEBHOOK, MINT = Flag.POINTS_ENABLED, Flag.WEBHOOK_ENABLED, Flag.MINT_IN_REFERRAL_API
FREE = [flag for flag in Flag if flag not in LOCKED]


class TestSwitchFlags:
    async def test_a_flag_that_nobody_switched_has_its_default(self, world: World) -> None:
        board = Switchboard(world)
        await board.flags.refresh()

        assert board.known() == DEFAULTS
        assert await board.stored() == {}

    @pytest.mark.parametrize("flag", FREE)
    async def test_every_flag_can_be_switched_on_and_off_but_the_locked(self, world: World, flag: Flag) -> None:
        board = Switchboard(world)

        for on in (not DEFAULTS[flag], DEFAULTS[flag], not DEFAULTS[flag]):
            state = await board.switch(flag, on=on)

            assert (state.name, state.enabled) == (flag, on)
            assert board.known() == {**DEFAULTS, flag: on}

    async def test_it_is_kept_who_switched_it_and_when(self, world: World) -> None:
        board, at = Switchboard(world), world.clock.now()

        state = await board.switch(POINTS, on=False, by="ada")

        assert state == FlagState(POINTS, enabled=False, pinned=False, updated_at=at, updated_by="ada")
        assert await board.stored() == {POINTS: Switch(POINTS, enabled=False, updated_at=at, updated_by="ada")}
        assert await board.state(POINTS) == state

    async def test_the_last_who_changed_it_is_the_one(self, world: World) -> None:
        board = Switchboard(world)
        await board.switch(POINTS, on=False, by="ada")
        world.pass_time(hours=1)

        state = await board.switch(POINTS, on=True, by="bob")

        assert (state.updated_at, state.updated_by) == (world.clock.now(), "bob")
        assert (await board.stored())[POINTS].updated_by == "bob"

    async def test_a_switch_that_changes_nothing_keeps_its_author(self, world: World) -> None:
        board = Switchboard(world)
        first = await board.switch(POINTS, on=False, by="ada")
        world.pass_time(hours=1)

        assert await board.switch(POINTS, on=False, by="bob") == first
        assert await board.state(POINTS) == first

    async def test_to_confirm_a_default_is_a_switch_too(self, world: World) -> None:
        """It holds when another version has another default."""
        board = Switchboard(world)

        await board.switch(POINTS, on=DEFAULTS[POINTS])

        assert set(await board.stored()) == {POINTS}

    async def test_minting_in_the_referral_api_stays_off_and_the_refusal_says_why(self, world: World) -> None:
        board = Switchboard(world)

        with pytest.raises(FlagLocked, match="GET /api/referral never writes"):
            await board.switch(MINT, on=True)

        assert await board.stored() == {}
        assert (await board.switch(MINT, on=False)).enabled is False

    async def test_no_way_round_the_rule_stores_it_either(self, world: World) -> None:
        with pytest.raises(
            (ConstraintViolated, asyncpg.CheckViolationError), match="flags_mint_in_referral_api_stays_off"
        ):
            async with world.transactions.begin() as stores:
                await stores.flags.store([Switch(MINT, enabled=True, updated_at=world.clock.now(), updated_by="ada")])

        assert await Switchboard(world).stored() == {}

    async def test_a_flag_is_stored_once_at_a_time(self, world: World) -> None:
        board = Switchboard(world)

        with pytest.raises((ConstraintViolated, asyncpg.CardinalityViolationError)):
            async with world.transactions.begin() as stores:
                await stores.flags.store([board.wanted(POINTS, on=False), board.wanted(POINTS, on=True)])

        assert await board.stored() == {}

    @pytest.mark.parametrize("on", [True, False])
    async def test_a_pinned_flag_is_not_switched_and_the_refusal_names_the_setting(
        self, world: World, on: bool
    ) -> None:
        board = Switchboard(world, {POINTS: on})

        for wanted in (True, False):
            with pytest.raises(FlagPinned, match="TALLYSTICK_FLAGS"):
                await board.switch(POINTS, on=wanted)

        assert await board.stored() == {}
        assert board.flags.enabled(POINTS) is on

    async def test_a_pin_wins_over_what_is_stored_and_hides_who_switched_it(self, world: World) -> None:
        await Switchboard(world).switch(POINTS, on=False)
        pinned = Switchboard(world, {POINTS: True})

        await pinned.flags.refresh()

        assert pinned.flags.enabled(POINTS)
        assert await pinned.state(POINTS) == FlagState(POINTS, True, True, None, None)

    async def test_one_that_is_locked_says_so_even_where_it_is_pinned(self, world: World) -> None:
        with pytest.raises(FlagLocked):
            await Switchboard(world, {MINT: False}).switch(MINT, on=True)

    async def test_in_a_batch_each_is_decided_in_turn_and_a_refusal_stops_nobody(self, world: World) -> None:
        board = Switchboard(world, {WEBHOOK: True})
        off, on = board.wanted(POINTS, on=False, by="ada"), board.wanted(POINTS, on=True, by="bob")

        outcomes = await board.switch_together(
            off, board.wanted(MINT, on=True), on, board.wanted(WEBHOOK, on=False), off, off
        )

        shown = [each.enabled if isinstance(each, FlagState) else type(each) for each in outcomes]
        assert shown == [False, FlagLocked, True, FlagPinned, False, False]
        assert await board.stored() == {POINTS: off}
        assert board.known() == {**DEFAULTS, POINTS: False}

    async def test_a_batch_that_ends_where_it_began_is_stored_as_the_last_change(self, world: World) -> None:
        board = Switchboard(world)
        await board.switch(POINTS, on=True, by="ada")
        off, on = board.wanted(POINTS, on=False, by="bob"), board.wanted(POINTS, on=True, by="eve")

        await board.switch_together(off, on)

        assert await board.stored() == {POINTS: on}

    async def test_the_same_key_again_gets_the_first_answer_and_switches_nothing(self, world: World) -> None:
        board = Switchboard(world)
        await board.switch(POINTS, on=False, key="k")
        await board.switch(POINTS, on=True)

        with pytest.raises(Replayed):
            await board.switch(POINTS, on=False, key="k")
        with pytest.raises(IdempotencyMismatch):
            await board.switch(POINTS, on=True, key="k")

        assert board.flags.enabled(POINTS)


class TestFollowedFlags:
    async def test_the_process_that_switches_follows_at_once_and_others_when_they_look(self, world: World) -> None:
        here, there = Switchboard(world), Switchboard(world)

        await here.switch(POINTS, on=False)

        assert (here.flags.enabled(POINTS), there.flags.enabled(POINTS)) == (False, True)
        await there.flags.refresh()
        assert there.known() == {**DEFAULTS, POINTS: False}

    async def test_a_refused_batch_is_followed_by_nobody(self, world: World) -> None:
        here, there = Switchboard(world), Switchboard(world, {POINTS: True})

        assert isinstance((await there.switch_together(there.wanted(POINTS, on=False)))[0], FlagPinned)

        await here.flags.refresh()
        assert here.known() == DEFAULTS
