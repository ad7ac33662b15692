"""How staff award points."""

import asyncio
from datetime import UTC, datetime

import pytest

from tallystick.application.idempotency import IdempotencyMismatch, Keyed, Replayed
from tallystick.application.points import Accrued
from tallystick.domain.ledger import MAX_BALANCE, AccountFrozen, BalanceLimitExceeded
from tallystick.domain.loyalty import PointsDisabled, RewardLimitExceeded, SelfAward
from tallystick.domain.users import UserDeleted, UserNotFound
from tests.worlds.world import World


class TestAwardPoints:
    async def test_an_award_is_an_entry_in_the_name_of_staff(self, world: World) -> None:
        await world.a_player("ada", points=950)

        accrued = await world.award("ada", 60, staff="eve", reason="kind words")

        (entry, _) = await world.point_entries("ada")
        assert (entry.amount, entry.event_type, entry.staff_id, entry.reason) == (
            60,
            "manual_reward",
            "eve",
            "kind words",
        )
        assert (entry.tier_before, entry.tier_after) == ("bronze", "silver")
        receipt = accrued.accrual
        assert (receipt.balance_before, receipt.balance_after, receipt.lifetime_points) == (950, 1010, 1010)
        assert (receipt.tier_before, receipt.tier_after, receipt.tier_progress) == ("bronze", "silver", 0)
        assert (receipt.updated_at, receipt.row_locked) == (world.clock.now(), True)
        assert await world.broken_promises() == []

    async def test_the_first_points_of_a_player_open_their_account(self, world: World) -> None:
        await world.a_player("ada")

        assert (await world.award("ada", 5)).accrual.balance_before == 0
        assert await world.points_and_amounts("ada") == (5, [5])

    async def test_the_same_award_on_one_day_counts_once_and_again_on_the_next(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.award("ada", 100)
        world.pass_time(hours=23, minutes=59, seconds=59, milliseconds=999)

        again = await world.award("ada", 100)
        world.pass_time(milliseconds=1)
        tomorrow = await world.award("ada", 100)

        assert world.clock.now() == datetime(2026, 1, 2, tzinfo=UTC)
        assert (again.accrual, again.is_repeated) == (first.accrual, True)
        assert (tomorrow.accrual.balance_after, tomorrow.is_repeated) == (200, False)
        assert await world.points_and_amounts("ada") == (200, [100, 100])

    async def test_the_same_reward_id_counts_once_for_ever(self, world: World) -> None:
        await world.a_player("ada")
        await world.a_player("bob")
        first = await world.award("ada", 100, reward="christmas")
        world.pass_time(days=300)

        again = await world.award("ada", 100, reward="christmas", staff="another", reason="another")
        await world.award("bob", 100, reward="christmas")

        assert (again.accrual, again.is_repeated) == (first.accrual, True)
        assert await world.points_and_amounts("ada") == (100, [100])
        assert await world.points_and_amounts("bob") == (100, [100])

    async def test_the_same_reward_id_is_the_first_award_whatever_it_is_worth(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.award("ada", 100, reward="christmas")

        again = await world.award("ada", 101, reward="christmas")

        assert (again.accrual, again.is_repeated) == (first.accrual, True)
        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_a_reward_id_that_is_the_key_of_another_award_credits_on_its_own(self, world: World) -> None:
        await world.a_player("ada")
        await world.award("ada", 100)
        (by_day,) = await world.point_entries("ada")
        names = [by_day.event_key.removeprefix("day:"), by_day.event_key]

        for _ in range(4):  # each name is the key that the one before it was stored under
            named = await world.award("ada", 7, reward=names[-1])
            assert not named.is_repeated
            names.append((await world.point_entries("ada"))[0].event_key)
        plain = await world.award("ada", 7, reward=names[0])

        assert not plain.is_repeated
        assert (await world.award("ada", 7, reward=names[0])).accrual == plain.accrual
        assert (await world.award("ada", 100)).is_repeated
        assert await world.points_and_amounts("ada") == (135, [100, 7, 7, 7, 7, 7])

    async def test_an_award_whose_day_key_was_somebodys_reward_id_credits_on_its_own(self, world: World) -> None:
        await world.a_player("ada")
        await world.a_player("bob")
        await world.award("bob", 100)
        (by_day,) = await world.point_entries("bob")

        for key in (by_day.event_key, by_day.event_key.removeprefix("day:")):
            await world.award("ada", 7, reward=key)
        await world.award("ada", 100)

        assert await world.points_and_amounts("ada") == (114, [7, 7, 100])

    async def test_a_retry_of_an_award_from_before_the_two_name_spaces_is_that_award(self, world: World) -> None:
        await world.a_player("ada")
        by_day = world.former_award("ada", 100)
        names = ("christmas", "id:7", "day:7", "f" * 64, f"day:{'f' * 64}")
        by_name = [world.former_award("ada", 5, reward=name) for name in names]
        first = await world.accrue(by_day, *by_name)
        world.pass_time(hours=1)

        again = [await world.award("ada", 100), *[await world.award("ada", 5, reward=name) for name in names]]

        assert [(each.accrual, each.is_repeated) for each in again] == [
            (each.accrual, True) for each in first.results if isinstance(each, Accrued)
        ]
        assert await world.points_and_amounts("ada") == (125, [100, 5, 5, 5, 5, 5])

    async def test_of_keys_from_before_the_two_name_spaces_each_kind_answers_its_own(self, world: World) -> None:
        await world.a_player("ada")
        by_day = world.former_award("ada", 100)
        await world.accrue(by_day)

        named = await world.award("ada", 7, reward=by_day.event.key)

        assert (named.is_repeated, named.accrual.balance_after) == (False, 107)
        assert (await world.award("ada", 100)).is_repeated

    async def test_other_points_staff_or_reasons_are_other_awards(self, world: World) -> None:
        await world.a_player("ada")

        await world.award("ada", 100)
        await world.award("ada", 101)
        await world.award("ada", 100, staff="another")
        await world.award("ada", 100, reason="another")

        assert await world.points_and_amounts("ada") == (401, [100, 101, 100, 100])

    async def test_the_first_receipt_stays_whatever_was_credited_since(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.award("ada", 100)
        await world.award("ada", 5000, reason="another")
        world.pass_time(hours=1)

        assert (await world.award("ada", 100)).accrual == first.accrual

    async def test_nobody_awards_themselves(self, world: World) -> None:
        await world.a_player("staff")

        with pytest.raises(SelfAward):
            await world.award("staff", 1)

        assert await world.points_and_amounts("staff") == (0, [])

    async def test_ten_thousand_are_awarded_and_not_one_more(self, world: World) -> None:
        await world.a_player("ada")

        with pytest.raises(RewardLimitExceeded) as refused:
            await world.award("ada", 10_001)
        await world.award("ada", 10_000)

        assert refused.value.facts() == {"limit": 10_000}
        assert await world.points_and_amounts("ada") == (10_000, [10_000])

    async def test_a_user_who_was_never_seen_or_was_deleted_is_awarded_nothing(self, world: World) -> None:
        await world.deliver("deleted", "gone")

        with pytest.raises(UserNotFound):
            await world.award("nobody", 1)
        with pytest.raises(UserDeleted):
            await world.award("gone", 1)

        for user in ("nobody", "gone"):
            assert await world.points_and_amounts(user) == (0, [])

    async def test_an_award_from_before_the_deletion_still_answers(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.award("ada", 100)
        await world.deliver("deleted", "ada")

        assert (await world.award("ada", 100)).accrual == first.accrual

    async def test_while_points_are_off_awards_are_refused_and_the_first_answers_stay(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.award("ada", 100)
        world.switch_points(on=False)

        with pytest.raises(PointsDisabled):
            await world.award("ada", 101)
        assert (await world.award("ada", 100)).accrual == first.accrual

        world.switch_points(on=True)
        await world.award("ada", 101)
        assert await world.points_and_amounts("ada") == (201, [100, 101])

    async def test_a_frozen_account_takes_nothing_until_it_is_thawed(self, world: World) -> None:
        await world.a_player("ada", points=10)
        await world.freeze("ada")

        with pytest.raises(AccountFrozen) as refused:
            await world.award("ada", 1)
        assert refused.value.facts() == {"unit": "points"}
        assert await world.points_and_amounts("ada") == (10, [10])

        await world.thaw("ada")
        await world.award("ada", 1)
        assert await world.points_and_amounts("ada") == (11, [10, 1])

    async def test_a_user_who_never_had_points_can_be_frozen_too(self, world: World) -> None:
        await world.a_player("ada")
        await world.freeze("ada")

        with pytest.raises(AccountFrozen):
            await world.award("ada", 1)

    async def test_a_frozen_account_of_credits_pays_for_nothing_and_is_granted_nothing(self, world: World) -> None:
        await world.a_player("ada")
        await world.an_account("ada", balance=100)
        reward = await world.a_reward(cost=40)
        await world.freeze("ada", "credits")

        with pytest.raises(AccountFrozen):
            await world.purchase("ada", reward)
        with pytest.raises(AccountFrozen):
            await world.grant("ada", 1)

        await world.award("ada", 1)
        assert await world.balance_and_amounts("ada") == (100, [100])

    async def test_an_account_holds_the_largest_balance_and_not_one_more(self, world: World) -> None:
        await world.a_player("ada", points=MAX_BALANCE - 1)

        await world.award("ada", 1)
        with pytest.raises(BalanceLimitExceeded):
            await world.award("ada", 2)

        assert (await world.points_of("ada")).balance == MAX_BALANCE

    async def test_the_same_key_answers_the_first_reply_and_awards_nothing(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.award("ada", 100, key="k1")
        world.pass_time(days=1)

        with pytest.raises(Replayed) as replayed:
            await world.award("ada", 100, key="k1")
        with pytest.raises(IdempotencyMismatch):
            await world.award("ada", 101, key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_a_refusal_that_may_pass_is_not_kept_under_its_key(self, world: World) -> None:
        await world.a_player("ada")
        world.switch_points(on=False)
        with pytest.raises(PointsDisabled):
            await world.award("ada", 100, key="k1")
        world.switch_points(on=True)

        assert (await world.award("ada", 100, key="k1")).accrual.balance_after == 100

    async def test_a_batch_that_runs_again_after_a_lost_answer_finds_its_own_award(self, world: World) -> None:
        await world.a_player("ada")
        command = Keyed(world.award_command("ada", 100))

        assert await world.award_points([command]) == await world.award_points([command])

        assert await world.points_and_amounts("ada") == (100, [100])
        assert world.metrics.counts["accrual_outcomes", "credited"] == 2  # each run says that it was its own

    async def test_awards_of_one_batch_build_on_each_other_and_a_refusal_stops_nobody(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        commands = [
            world.award_command("ada", 1),
            world.award_command("nobody", 2),
            world.award_command("bob", 10_001),
            world.award_command("ada", 4),
            world.award_command("ada", 1),
        ]

        outcomes = await world.award_points([Keyed(command) for command in commands])

        first, unknown, limited, second, repeated = outcomes
        assert isinstance(unknown, UserNotFound)
        assert isinstance(limited, RewardLimitExceeded)
        assert isinstance(first, Accrued)
        assert isinstance(second, Accrued)
        assert second.accrual.balance_after == 5
        assert repeated == Accrued(first.accrual, is_repeated=True)
        counted = {label: n for (name, label), n in world.metrics.counts.items() if name == "accrual_outcomes"}
        assert counted == {"credited": 2, "repeated": 1, "refused": 2}
        assert await world.broken_promises() == []

    async def test_awards_at_once_add_up(self, world: World) -> None:
        await world.a_player("ada")

        await asyncio.gather(*(world.award("ada", points) for points in range(1, 11)))

        balance, amounts = await world.points_and_amounts("ada")
        assert (balance, sorted(amounts)) == (55, list(range(1, 11)))
        assert await world.broken_promises() == []
