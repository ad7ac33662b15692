"""How batches of points are credited."""

import pytest

from tallystick.application.idempotency import IdempotencyMismatch, Replayed
from tallystick.application.points import Accrued
from tallystick.domain.ledger import AccountFrozen
from tallystick.domain.loyalty import PointsDisabled
from tallystick.domain.users import UserDeleted, UserNotFound
from tests.worlds.world import World


class TestAccruePoints:
    async def test_each_event_is_an_entry_and_the_next_one_builds_on_it(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)

        credited = await world.accrue(world.earning("ada", 600), world.earning("bob", 5), world.earning("ada", 500))

        receipts = [accrued.accrual for accrued in credited.results if isinstance(accrued, Accrued)]
        assert [(r.player_id, r.balance_before, r.balance_after, r.tier_after) for r in receipts] == [
            ("ada", 0, 600, "bronze"),
            ("bob", 0, 5, "bronze"),
            ("ada", 600, 1100, "silver"),
        ]
        assert [(e.seq, e.tier_before, e.lifetime_after) for e in await world.point_entries("ada")] == [
            (2, "bronze", 1100),
            (1, "bronze", 600),
        ]
        assert await world.broken_promises() == []

    async def test_an_event_counts_once_for_each_player_in_whatever_order_it_comes(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        early, late = world.earning("ada", 1, event="early"), world.earning("ada", 2, event="late")

        await world.accrue(late)
        world.pass_time(seconds=1)
        credited = await world.accrue(
            world.earning("ada", 2, event="late"), early, early, world.earning("bob", 2, event="late")
        )

        assert [accrued.is_repeated for accrued in credited.results if isinstance(accrued, Accrued)] == [
            True,
            False,
            True,
            False,
        ]
        assert await world.points_and_amounts("ada") == (3, [2, 1])
        assert await world.points_and_amounts("bob") == (2, [2])

    async def test_one_key_of_two_kinds_is_two_events(self, world: World) -> None:
        await world.a_player("ada")

        await world.accrue(world.earning("ada", 1, event="e"), world.earning("ada", 2, event="e", kind="jackpot"))

        assert await world.points_and_amounts("ada") == (3, [1, 2])

    async def test_each_refusal_is_its_events_own(self, world: World) -> None:
        for user in ("ada", "cold"):
            await world.a_player(user)
        await world.deliver("deleted", "gone")
        await world.freeze("cold")

        credited = await world.accrue(
            world.earning("nobody", 1),
            world.earning("ada", 1, event="e"),
            world.earning("gone", 1),
            world.earning("cold", 1),
            world.earning("ada", 2, event="e"),
            world.earning("ada", 4),
        )

        assert [type(outcome) for outcome in credited.results] == [
            UserNotFound,
            Accrued,
            UserDeleted,
            AccountFrozen,
            IdempotencyMismatch,
            Accrued,
        ]
        assert await world.points_and_amounts("ada") == (5, [1, 4])
        assert await world.broken_promises() == []

    async def test_a_batch_that_is_refused_while_points_are_off_is_credited_under_its_key_later(
        self, world: World
    ) -> None:
        await world.a_player("ada")
        world.switch_points(on=False)
        with pytest.raises(PointsDisabled):
            await world.accrue(world.earning("ada", 1, event="e"), key="k1")
        world.switch_points(on=True)

        await world.accrue(world.earning("ada", 1, event="e"), key="k1")

        assert await world.points_and_amounts("ada") == (1, [1])

    async def test_the_same_key_answers_the_first_reply_and_credits_nothing(self, world: World) -> None:
        await world.a_player("ada")
        first = await world.accrue(world.earning("ada", 1, event="e"), key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.accrue(world.earning("ada", 1, event="e"), key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.points_and_amounts("ada") == (1, [1])

    async def test_a_summary_shows_points_and_the_lifetime_sum(self, world: World) -> None:
        await world.a_player("ada", points=1500)

        summary = await world.summary("ada")

        assert summary is not None
        assert (summary.points, summary.lifetime_points, summary.credits) == (1500, 1500, 0)

    async def test_an_account_knows_when_it_changed_last(self, world: World) -> None:
        await world.a_player("ada", points=1)
        world.pass_time(hours=1)
        await world.award("ada", 2)

        account = await world.points_of("ada")

        assert (account.lifetime, account.version, account.updated_at) == (3, 2, world.clock.now())
