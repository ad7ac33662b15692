"""A flag that is flipped while a batch is decided: the whole batch goes by one answer, and no promise is broken."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import cycle

import pytest

from tallystick.application.idempotency import Keyed
from tallystick.application.loyalty import Credited, Earnings
from tallystick.application.pending_accruals import Recovery
from tallystick.application.points import Accrued
from tallystick.application.rating_slips import Completed, RecoverSlip
from tallystick.domain.flags import Flag
from tallystick.domain.loyalty import PointsDisabled
from tallystick.domain.pending_accruals import AccrualPending
from tallystick.domain.rating_slips import PartialCompletion
from tallystick.domain.users import UserId
from tests.worlds.world import World

PLAYERS = [UserId(name) for name in ("ada", "bob", "cid")]
Batch = Callable[[World], Awaitable[Sequence[object]]]


async def awards(world: World) -> Sequence[object]:
    return await world.award_points([Keyed(world.award_command(player, 5)) for player in PLAYERS])


async def batches(world: World) -> Sequence[object]:
    of_one = [Earnings(tuple(world.earning(player) for player in PLAYERS)) for _ in PLAYERS]
    outcomes = await world.accrue_points([Keyed(earnings) for earnings in of_one])
    return [result for each in outcomes for result in (each.results if isinstance(each, Credited) else [each])]


async def completions(world: World) -> Sequence[object]:
    slips = [await world.a_slip(player) for player in PLAYERS]
    world.pass_time(hours=1)
    return await world.complete_slips([Keyed(world.completion(slip)) for slip in slips])


async def recoveries_of_slips(world: World) -> Sequence[object]:
    waiting = [pending for pending in await world.pending() if pending.event_type == "rating_slip"]
    now = world.clock.now()
    return await world.recover_slips([Keyed(RecoverSlip(pending.event_key, now)) for pending in waiting])  # type: ignore[arg-type]  # its key is the slip's id


async def recoveries(world: World) -> Sequence[object]:
    now = world.clock.now()
    return await world.recover_accruals([Keyed(Recovery(pending.event, now)) for pending in await world.pending()])


async def requests(world: World) -> Sequence[object]:
    codes = [await world.code_of(player) for player in PLAYERS]
    newcomers = [world.upsert(world.new_id(), code) for code in codes]
    before = len(await world.pending(limit=200))
    await world.attribute_referrals([Keyed(newcomer) for newcomer in newcomers])
    waiting = len(await world.pending(limit=200)) - before
    return ["waits"] * waiting + ["credited"] * (len(newcomers) - waiting)


CREDITED = (Accrued, Completed, "credited")
NOT_CREDITED = (PointsDisabled, PartialCompletion, AccrualPending, "waits")


def flicker(world: World, monkeypatch: pytest.MonkeyPatch, *, first: bool) -> None:
    """Flip a flag whenever somebody has asked for it."""
    answers = {flag: cycle([first, not first]) for flag in Flag}
    monkeypatch.setattr(world.flags, "enabled", lambda flag: next(answers[flag]))


class TestFlippedFlags:
    @pytest.mark.parametrize("first", [True, False])
    @pytest.mark.parametrize("batch", [awards, batches, completions, requests, recoveries, recoveries_of_slips])
    async def test_a_batch_goes_by_one_answer(
        self, world: World, monkeypatch: pytest.MonkeyPatch, batch: Batch, first: bool
    ) -> None:
        for player in PLAYERS:
            await world.mint(player)
            await world.a_waiting_slip(player)
        flicker(world, monkeypatch, first=first)

        outcomes = await batch(world)

        expected = CREDITED if first else NOT_CREDITED
        assert len(outcomes) >= len(PLAYERS)
        assert all(outcome in expected or type(outcome) in expected for outcome in outcomes), outcomes
        monkeypatch.undo()
        assert await world.broken_promises() == []

    @pytest.mark.parametrize("first", [True, False])
    async def test_a_sweep_that_meets_a_flip_leaves_what_waits_or_credits_it(
        self, world: World, monkeypatch: pytest.MonkeyPatch, first: bool
    ) -> None:
        for player in PLAYERS:
            await world.a_player(player)
            await world.a_waiting_slip(player)
        world.pass_time(hours=1)
        flicker(world, monkeypatch, first=first)

        await world.sweep()

        assert await world.broken_promises() == []
        monkeypatch.undo()
        world.pass_time(hours=1)
        await world.sweep()
        assert await world.pending() == []
        assert await world.broken_promises() == []

    async def test_a_first_read_that_meets_a_flip_mints_or_does_not(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = set()
        for number in range(6):
            flicker(world, monkeypatch, first=number % 2 == 0)
            state = await world.link(f"user-{number}")
            monkeypatch.undo()
            summary = await world.summary(f"user-{number}")
            assert state.code == (summary.code if summary is not None else None)
            seen.add(state.code is not None)
        assert seen == {True, False}
        assert world.flags.enabled(Flag.ENSURE_ON_READ_ENABLED)
        assert await world.broken_promises() == []
