"""How slips are opened and completed."""

import asyncio
from datetime import timedelta

import pytest

from tallystick.application.idempotency import IdempotencyMismatch, Keyed, Replayed
from tallystick.application.rating_slips import Completed
from tallystick.domain.ledger import MAX_BALANCE
from tallystick.domain.rating_slips import (
    GameNotFound,
    ImpossibleTimes,
    PartialCompletion,
    Slip,
    SlipId,
    SlipNotFound,
    SlipNotOpen,
)
from tallystick.domain.users import UserDeleted, UserNotFound
from tests.worlds.world import World


class TestOpenSlips:
    async def test_a_slip_copies_the_settings_of_its_game(self, world: World) -> None:
        await world.a_player("ada")

        slip = await world.a_slip("ada", game="roulette", bet=500)

        assert (slip.player_id, slip.game, slip.average_bet) == ("ada", "roulette", 500)
        assert (slip.decisions_per_hour, slip.house_edge_bp, slip.points_per_100) == (38, 526, 10)
        assert (slip.state, slip.opened_at, slip.closed_at, slip.points) == ("open", world.clock.now(), None, None)
        assert await world.slip(slip) == slip

    async def test_an_impossible_slip_is_refused_and_nothing_is_stored(self, world: World) -> None:
        await world.a_player("ada")
        await world.deliver("deleted", "gone")

        with pytest.raises(UserNotFound):
            await world.a_slip("nobody")
        with pytest.raises(UserDeleted):
            await world.a_slip("gone")
        with pytest.raises(GameNotFound):
            await world.a_slip("ada", game="whist")
        with pytest.raises(ImpossibleTimes):
            await world.a_slip("ada", opened_at=world.clock.now() + timedelta(seconds=1))

        assert await world.slips() == []

    async def test_a_batch_that_runs_again_after_a_lost_answer_opens_nothing_twice(self, world: World) -> None:
        await world.a_player("ada")
        command = Keyed(world.new_slip("ada"))

        assert await world.open_slips([command]) == await world.open_slips([command])

        assert len(await world.slips()) == 1

    async def test_the_same_key_is_the_same_slip(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.a_slip("ada", key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.a_slip("ada", key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.slips() == [first]

    async def test_pages_are_the_newest_first_by_state(self, world: World) -> None:
        await world.a_player("ada")
        slips = []
        for _ in range(5):
            world.pass_time(seconds=1)
            slips.append(await world.a_slip("ada"))
        for number in (1, 3):
            await world.complete(slips[number])

        def numbers(page: list[Slip]) -> list[int]:
            ids = [slip.slip_id for slip in slips]
            return [ids.index(slip.slip_id) for slip in page]

        first = await world.slips(limit=2)
        assert numbers(first) == [4, 3]
        assert numbers(await world.slips(before=first[-1].slip_id)) == [2, 1, 0]
        assert numbers(await world.slips(state="closed")) == [3, 1]
        assert numbers(await world.slips(state="open", before=slips[4].slip_id, limit=1)) == [2]
        assert await world.slips(state="accrual_pending") == []


class TestCompleteSlips:
    async def test_a_slip_completes_and_credits(self, world: World) -> None:
        await world.a_player("ada", points=500)
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)

        completed = await world.complete(slip, correlation="the request")

        assert (completed.slip.state, completed.slip.points) == ("closed", 525)
        assert completed.slip.closed_at == world.clock.now()
        receipt = completed.accrual
        assert (receipt.balance_before, receipt.balance_after, receipt.lifetime_points) == (500, 1025, 1025)
        assert (receipt.tier_before, receipt.tier_after, receipt.row_locked) == ("bronze", "silver", True)
        (entry, _) = await world.point_entries("ada")
        assert (entry.event_type, entry.event_key, entry.amount) == ("rating_slip", slip.slip_id, 525)
        assert (entry.staff_id, entry.correlation_id) == ("pit", "the request")
        assert await world.slip(slip) == completed.slip
        assert await world.broken_promises() == []

    async def test_completing_twice_answers_the_first_result(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        first = await world.complete(slip, bet=20_000)
        world.pass_time(hours=1)
        await world.award("ada", 7)

        again = [
            await world.complete(slip),
            await world.complete(slip, bet=20_000),
            await world.complete(slip, closed_at=first.slip.closed_at),
        ]

        assert [(each.slip, each.accrual, each.is_repeated) for each in again] == [
            (first.slip, first.accrual, True)
        ] * 3
        assert await world.points_and_amounts("ada") == (1057, [1050, 7])

    async def test_completing_again_with_other_values_is_refused(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        first = await world.complete(slip)

        for bet, closed_at in ((10_001, None), (None, first.slip.opened_at)):
            with pytest.raises(SlipNotOpen) as refused:
                await world.complete(slip, bet=bet, closed_at=closed_at)
            assert refused.value.facts() == {"state": "closed"}

        assert await world.points_and_amounts("ada") == (525, [525])

    async def test_a_slip_without_points_closes_and_shows_the_account_as_it_is(self, world: World) -> None:
        await world.a_player("ada", points=1100)
        credited_at = world.clock.now()
        slip = await world.a_slip("ada")
        world.pass_time(seconds=1)

        completed = await world.complete(slip)

        receipt = completed.accrual
        assert (completed.slip.state, completed.slip.points) == ("closed", 0)
        assert (receipt.balance_before, receipt.balance_after, receipt.lifetime_points) == (1100, 1100, 1100)
        assert (receipt.tier_before, receipt.tier_after, receipt.tier_progress) == ("silver", "silver", 2)
        assert (receipt.updated_at, receipt.row_locked) == (credited_at, True)
        assert await world.points_and_amounts("ada") == (1100, [1100])

        world.pass_time(hours=1)
        await world.award("ada", 9000)
        assert (await world.complete(slip)).accrual == receipt
        assert await world.recover(slip) == receipt
        assert await world.broken_promises() == []

    async def test_a_slip_without_points_of_a_player_without_any_shows_zero(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")

        first = await world.complete(slip)
        await world.award("ada", 100)

        assert (first.accrual.balance_after, first.accrual.updated_at) == (0, world.clock.now())
        assert (await world.complete(slip)).accrual == first.accrual

    async def test_a_slip_without_points_closes_while_points_are_off(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.switch_points(on=False)

        assert (await world.complete(slip)).slip.state == "closed"
        assert await world.pending() == []

    async def test_impossible_ends_leave_the_slip_open(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)

        for closed_at in (slip.opened_at - timedelta(seconds=1), world.clock.now() + timedelta(seconds=1)):
            with pytest.raises(ImpossibleTimes):
                await world.complete(slip, closed_at=closed_at)

        assert await world.slip(slip) == slip
        assert await world.points_and_amounts("ada") == (0, [])

    async def test_a_slip_that_is_not_there_is_refused_as_missing(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        nobodys = Slip(SlipId("none"), slip.player_id, "blackjack", 1, 70, 75, 10, "open", slip.opened_at)

        with pytest.raises(SlipNotFound):
            await world.complete(nobodys)
        with pytest.raises(SlipNotFound):
            await world.recover(nobodys)

    async def test_the_same_key_answers_the_first_reply(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        first = await world.complete(slip, key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.complete(slip, key="k1")
        with pytest.raises(IdempotencyMismatch):
            await world.complete(slip, bet=1, key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.points_and_amounts("ada") == (525, [525])

    async def test_a_batch_that_runs_again_after_a_lost_answer_finds_its_own_completion(self, world: World) -> None:
        await world.a_player("ada")
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)
        command = Keyed(world.completion(slip))

        assert await world.complete_slips([command]) == await world.complete_slips([command])

        assert await world.points_and_amounts("ada") == (525, [525])

    async def test_slips_of_one_batch_build_on_each_other_and_a_refusal_stops_nobody(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        slips = [await world.a_slip(user) for user in ("ada", "bob", "ada")]
        world.pass_time(hours=1)
        commands = [world.completion(slip) for slip in (*slips, slips[0])]
        commands.insert(1, world.completion(slips[1], closed_at=world.clock.now() + timedelta(hours=1)))

        outcomes = await world.complete_slips([Keyed(command) for command in commands])

        first, impossible, bobs, second, again = outcomes
        assert isinstance(impossible, ImpossibleTimes)
        assert isinstance(first, Completed)
        assert isinstance(second, Completed)
        assert isinstance(bobs, Completed)
        assert (second.accrual.balance_before, second.accrual.balance_after) == (525, 1050)
        assert again == Completed(first.slip, first.accrual, is_repeated=True)
        assert await world.points_and_amounts("bob") == (525, [525])
        assert await world.broken_promises() == []

    async def test_an_award_and_a_completion_at_once_add_up(self, world: World) -> None:
        await world.a_player("ada")
        slips = [await world.a_slip("ada") for _ in range(5)]
        world.pass_time(hours=1)

        await asyncio.gather(
            *(world.complete(slip) for slip in slips), *(world.award("ada", points) for points in range(1, 6))
        )

        balance, amounts = await world.points_and_amounts("ada")
        assert (balance, sorted(amounts)) == (5 * 525 + 15, [1, 2, 3, 4, 5, *[525] * 5])
        assert await world.broken_promises() == []

    async def test_points_that_the_ledger_refuses_do_not_keep_a_slip_open(self, world: World) -> None:
        await world.a_player("ada", points=MAX_BALANCE - 524)
        slip = await world.a_slip("ada")
        world.pass_time(hours=1)

        with pytest.raises(PartialCompletion):
            await world.complete(slip)

        assert (await world.slip(slip)).state == "accrual_pending"
        assert [pending.cause for pending in await world.pending()] == ["BALANCE_LIMIT_EXCEEDED"]
        assert await world.broken_promises() == []
