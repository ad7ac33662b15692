"""How points wait, and how they are credited in the end."""

from datetime import timedelta

import pytest

from tallystick.application.idempotency import Keyed, Replayed
from tallystick.application.pending_accruals import Recovery
from tallystick.domain.ledger import EventKey
from tallystick.domain.pending_accruals import AccrualNotFound, AccrualPending
from tallystick.domain.rating_slips import PartialCompletion, Slip, SlipNotOpen
from tallystick.domain.users import UserId
from tests.worlds.world import World


class TestPendingSlips:
    async def test_a_slip_closes_while_points_are_off_and_its_points_wait_for_all_to_see(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        world.switch_points(on=False)

        with pytest.raises(PartialCompletion) as partial:
            await world.complete(slip, correlation="first-try")

        assert partial.value.facts() == {"slip_id": slip.slip_id, "correlation_id": "first-try"}
        closed = await world.slip(slip)
        assert (closed.state, closed.points, closed.closed_at) == ("accrual_pending", 525, world.clock.now())
        assert await world.slips(state="accrual_pending") == [closed]
        (pending,) = await world.pending()
        assert (pending.event, pending.points, pending.cause) == (slip.event, 525, "POINTS_DISABLED")
        assert (pending.correlation_id, pending.staff_id, pending.tries) == ("first-try", "pit", 1)
        assert await world.backlog() == (1, world.clock.now())
        assert await world.points_and_amounts("ada") == (0, [])
        assert world.metrics.counts["accrual_outcomes", "pending"] == 1
        assert await world.broken_promises() == []

    async def test_a_recovery_finishes_it_with_the_same_key_and_the_first_correlation_id(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_waiting_slip("ada", correlation="first-try")
        world.pass_time(days=3)

        accrual = await world.recover(slip)

        assert (accrual.balance_before, accrual.balance_after, accrual.updated_at) == (0, 525, world.clock.now())
        (entry,) = await world.point_entries("ada")
        assert (entry.event, entry.correlation_id, entry.staff_id) == (slip.event, "first-try", "pit")
        assert (await world.slip(slip)).state == "closed"
        assert await world.pending() == []
        assert world.metrics.counts["accrual_outcomes", "recovered"] == 1
        assert await world.broken_promises() == []

    async def test_a_recovery_is_safe_to_repeat(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_waiting_slip("ada")

        first = await world.recover(slip)
        world.pass_time(hours=1)
        await world.award("ada", 7)
        again = [await world.recover(slip), await world.recover_event(slip.event), (await world.complete(slip)).accrual]

        assert again == [first] * 3
        assert await world.points_and_amounts("ada") == (532, [525, 7])

    async def test_a_slip_that_was_credited_at_once_has_nothing_to_recover(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        with pytest.raises(SlipNotOpen) as refused:
            await world.recover(slip)
        world.pass_time(hours=1)
        completed = await world.complete(slip)

        assert refused.value.facts() == {"state": "open"}
        assert await world.recover(slip) == completed.accrual
        assert await world.points_and_amounts("ada") == (525, [525])

    async def test_points_that_still_cannot_be_credited_stay_pending(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_waiting_slip("ada")
        await world.freeze("ada")
        world.pass_time(minutes=1)

        with pytest.raises(PartialCompletion) as partial:
            await world.recover(slip)
        with pytest.raises(AccrualPending) as pending:
            await world.recover_event(slip.event)

        assert partial.value.facts() == {"slip_id": slip.slip_id, "correlation_id": "first-try"}
        assert pending.value.facts() == {"cause": "ACCOUNT_FROZEN", "correlation_id": "first-try"}
        (waiting,) = await world.pending()
        assert (waiting.cause, waiting.tries, waiting.last_tried_at) == ("ACCOUNT_FROZEN", 3, world.clock.now())
        assert (await world.slip(slip)).state == "accrual_pending"

        await world.thaw("ada")
        assert (await world.recover(slip)).balance_after == 525
        assert await world.broken_promises() == []

    async def test_completing_again_credits_what_waits_as_soon_as_that_is_possible(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_waiting_slip("ada")
        world.switch_points(on=False)

        with pytest.raises(PartialCompletion):
            await world.complete(slip)
        with pytest.raises(SlipNotOpen):
            await world.complete(slip, bet=1)
        world.switch_points(on=True)
        completed = await world.complete(slip)

        assert (completed.slip.state, completed.accrual.balance_after) == ("closed", 525)
        assert await world.points_and_amounts("ada") == (525, [525])

    async def test_a_partial_completion_is_not_kept_under_its_key(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        world.switch_points(on=False)
        with pytest.raises(PartialCompletion):
            await world.complete(slip, key="k1")
        world.switch_points(on=True)

        assert (await world.complete(slip, key="k1")).accrual.balance_after == 525
        with pytest.raises(Replayed):
            await world.complete(slip, key="k1")

    async def test_a_partial_completion_that_runs_again_after_a_lost_answer_waits_once(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        world.switch_points(on=False)
        command = Keyed(world.completion(slip))

        outcomes = [*await world.complete_slips([command, command]), *await world.complete_slips([command])]

        assert [type(outcome) for outcome in outcomes] == [PartialCompletion] * 3
        assert len(await world.pending()) == 1
        assert await world.broken_promises() == []

    async def test_the_points_of_a_player_who_was_deleted_meanwhile_wait(self, world: World) -> None:
        await world.a_player("ada")
        slips = [await world.a_slip("ada") for _ in range(2)]
        world.pass_time(hours=1)
        await world.deliver("deleted", "ada")

        with pytest.raises(PartialCompletion):
            await world.complete(slips[0])
        nothing = await world.complete(slips[1], closed_at=slips[1].opened_at)

        assert (nothing.accrual.balance_after, nothing.accrual.row_locked) == (0, False)
        assert [pending.cause for pending in await world.pending()] == ["USER_DELETED"]
        assert await world.broken_promises() == []


class TestRecoverAccruals:
    async def test_an_event_that_never_earned_points_is_not_found(self, world: World) -> None:
        await world.a_player("ada")

        for user in ("ada", "nobody"):
            with pytest.raises(AccrualNotFound):
                await world.recover_event(EventKey(UserId(user), "points", "rating_slip", "none"))

    async def test_a_batch_of_recoveries_builds_on_each_other_and_a_refusal_stops_nobody(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        slips = [await world.a_waiting_slip(user) for user in ("ada", "bob", "ada")]
        await world.freeze("bob")
        events = [*(slip.event for slip in slips), slips[0].event]

        outcomes = await world.recover_accruals([Keyed(Recovery(event, world.clock.now())) for event in events])

        assert [getattr(outcome, "is_repeated", type(outcome)) for outcome in outcomes] == [
            False,
            AccrualPending,
            False,
            True,
        ]
        assert await world.points_and_amounts("ada") == (1050, [525, 525])
        assert {(await world.slip(slip)).state for slip in slips if slip.player_id == "ada"} == {"closed"}
        assert await world.broken_promises() == []

    async def test_a_batch_that_runs_again_after_a_lost_answer_finds_its_own_recovery(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_waiting_slip("ada")
        command = Keyed(Recovery(slip.event, world.clock.now()))

        assert await world.recover_accruals([command]) == await world.recover_accruals([command])

        assert await world.points_and_amounts("ada") == (525, [525])

    async def test_pages_are_the_oldest_first(self, world: World) -> None:
        await world.a_player("ada")
        slips = [await world.a_waiting_slip("ada") for _ in range(3)]

        first = await world.pending(limit=2)
        rest = await world.pending(after=(first[-1].created_at, first[-1].event))

        assert [pending.event_key for pending in (*first, *rest)] == [slip.slip_id for slip in slips]
        assert await world.backlog() == (3, first[0].created_at)


class TestSweepAccruals:
    async def test_accruals_of_a_deleted_user_are_neither_tried_nor_waited_for(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        await world.deliver("deleted", "ada")
        with pytest.raises(PartialCompletion):
            await world.complete(slip)
        world.pass_time(hours=1)

        assert await world.sweep() == []

        assert [(pending.cause, pending.tries) for pending in await world.pending()] == [("USER_DELETED", 1)]
        assert await world.backlog() == (0, None)

    async def test_a_sweep_credits_what_waits(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        slips = [await world.a_waiting_slip(user) for user in ("ada", "bob", "ada")]
        world.pass_time(minutes=1)

        assert sorted(await world.sweep()) == sorted(slip.slip_id for slip in slips)

        assert await world.pending() == []
        assert await world.backlog() == (0, None)
        assert await world.points_and_amounts("ada") == (1050, [525, 525])
        assert {(await world.slip(slip)).state for slip in slips} == {"closed"}
        assert {entry.correlation_id for entry in await world.point_entries("bob")} == {"first-try"}
        assert await world.broken_promises() == []

    async def test_while_points_are_off_nothing_is_tried(self, world: World) -> None:
        await world.a_player("ada")
        await world.a_waiting_slip("ada")
        world.pass_time(minutes=1)
        world.switch_points(on=False)

        assert await world.sweep() == []
        assert [pending.tries for pending in await world.pending()] == [1]

    async def test_an_accrual_that_was_just_tried_is_left_alone_for_a_while(self, world: World) -> None:
        await world.a_player("ada")
        await world.a_waiting_slip("ada")
        await world.freeze("ada")
        world.pass_time(minutes=1)

        assert await world.sweep() == []
        await world.thaw("ada")
        world.pass_time(seconds=10)
        assert await world.sweep() == []
        assert [pending.tries for pending in await world.pending()] == [2]

        world.pass_time(seconds=50)
        assert len(await world.sweep()) == 1

    async def test_one_that_cannot_be_credited_keeps_nobody_else_waiting(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        frozen, other = await world.a_waiting_slip("ada"), await world.a_waiting_slip("bob")
        await world.freeze("ada")
        world.pass_time(minutes=1)

        assert await world.sweep() == [other.slip_id]
        assert [pending.event_key for pending in await world.pending()] == [frozen.slip_id]

    async def test_a_sweep_is_bounded_and_the_next_one_goes_on(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tallystick.application.pending_accruals.BATCH_ROWS", 2)
        monkeypatch.setattr("tallystick.application.pending_accruals.MAX_BATCHES", 2)
        await world.a_player("ada")
        slips: list[Slip] = [await world.a_waiting_slip("ada") for _ in range(5)]
        world.pass_time(minutes=1)

        first, second = await world.sweep(), await world.sweep()

        assert (len(first), second) == (4, [slips[-1].slip_id])
        assert await world.points_and_amounts("ada") == (5 * 525, [525] * 5)

    async def test_due_accruals_come_in_the_order_of_their_waiting(self, world: World) -> None:
        await world.a_player("ada")
        slips = [await world.a_waiting_slip("ada") for _ in range(12)]
        world.pass_time(minutes=1)

        assert await world.sweep() == [slip.slip_id for slip in slips]
        assert [entry.event_key for entry in reversed(await world.point_entries("ada"))] == [s.slip_id for s in slips]

    async def test_the_longest_untried_comes_first(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("tallystick.application.pending_accruals.BATCH_ROWS", 1)
        monkeypatch.setattr("tallystick.application.pending_accruals.MAX_BATCHES", 1)
        for user in ("ada", "bob"):
            await world.a_player(user)
        await world.a_waiting_slip("ada")
        await world.freeze("ada")
        bobs = await world.a_waiting_slip("bob")
        world.pass_time(minutes=1)

        swept = [await world.sweep(), await world.sweep()]

        assert swept == [[], [bobs.slip_id]]
        assert world.clock.now() - (await world.pending())[0].last_tried_at == timedelta()
