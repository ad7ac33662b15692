"""What an inviter earns."""

import pytest

from application.idempotency import Keyed, Replayed
from domain.ledger import MAX_BALANCE, EventKey
from domain.users import EmailTaken, Profile, UserId
from tests.worlds import World


def signup(inviter: str, invitee: str) -> EventKey:
    return EventKey(UserId(inviter), "points", "referral_signup", invitee)


class ReferralPointsBehaviour:
    async def test_an_inviter_earns_points_with_the_edge(self, world: World) -> None:
        code = await world.mint("ada")

        await world.arrive("bob", code)

        (entry,) = await world.point_entries("ada")
        assert (entry.event, entry.amount, entry.staff_id) == (signup("ada", "bob"), 100, None)
        edge = await world.edge("bob")
        assert edge is not None
        assert entry.created_at == edge.created_at
        assert await world.points_and_amounts("bob") == (0, [])
        assert world.metrics.counts["accrual_outcomes", "credited"] == 1
        assert await world.broken_promises() == []

    async def test_each_invitee_counts_once_whatever_they_send_later(self, world: World) -> None:
        adas, carols = await world.mint("ada"), await world.mint("carol")
        await world.arrive("bob", adas)

        for code in (adas, carols, None):
            await world.arrive("bob", code)
        await world.arrive("dan", adas)

        assert await world.points_and_amounts("ada") == (200, [100, 100])
        assert await world.points_and_amounts("carol") == (0, [])

    async def test_an_attempt_that_runs_again_after_a_lost_answer_credits_once(self, world: World) -> None:
        code = await world.mint("ada")
        introduction = Keyed(world.introduction("bob", code))

        assert await world.attribute_referrals([introduction]) == await world.attribute_referrals([introduction])

        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_a_replayed_arrival_credits_nothing(self, world: World) -> None:
        code = await world.mint("ada")
        await world.arrive("bob", code, key="k1")

        with pytest.raises(Replayed):
            await world.arrive("bob", code, key="k1")

        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_who_names_nobody_earns_nobody_anything(self, world: World) -> None:
        own = await world.mint("ada")
        await world.arrive("ada", own)
        await world.arrive("bob", "NONE1234")
        gone = await world.mint("gone")
        await world.tell("deleted", "gone")
        await world.arrive("carol", gone)

        assert [await world.points_and_amounts(user) for user in ("ada", "gone")] == [(0, []), (0, [])]
        assert await world.pending() == []

    async def test_a_refused_profile_earns_nobody_anything(self, world: World) -> None:
        code = await world.mint("ada")
        await world.arrive("eve", profile=Profile(email="taken@example.org"))

        with pytest.raises(EmailTaken):
            await world.arrive("bob", code, profile=Profile(email="taken@example.org"))

        assert await world.points_and_amounts("ada") == (0, [])

    async def test_a_batch_of_arrivals_credits_everybody(self, world: World) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")
        introductions = [
            world.introduction("carol", adas),
            world.introduction("dan", bobs),
            world.introduction("eve", adas),
            world.introduction("carol", bobs),
        ]

        await world.attribute_referrals([Keyed(introduction) for introduction in introductions])

        assert [entry.event_key for entry in await world.point_entries("ada")] == ["eve", "carol"]
        assert [entry.event_key for entry in await world.point_entries("bob")] == ["dan"]
        assert {entry.correlation_id for entry in await world.point_entries("bob")} == {introductions[1].correlation_id}
        assert await world.broken_promises() == []

    async def test_what_an_invitee_is_worth_is_a_setting(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(7)
        await world.arrive("bob", code)
        world.make_referrals_worth(0)
        await world.arrive("carol", code)

        assert await world.inviter("carol") == "ada"
        assert await world.points_and_amounts("ada") == (7, [7])
        assert await world.pending() == []

    async def test_while_points_are_off_the_edge_is_stored_and_its_points_wait(self, world: World) -> None:
        code = await world.mint("ada")
        world.switch_points(on=False)

        await world.arrive("bob", code)

        assert await world.inviter("bob") == "ada"
        (pending,) = await world.pending()
        assert (pending.event, pending.points, pending.cause) == (signup("ada", "bob"), 100, "POINTS_DISABLED")
        assert await world.points_and_amounts("ada") == (0, [])
        assert world.metrics.counts["accrual_outcomes", "pending"] == 1
        assert await world.broken_promises() == []

        world.switch_points(on=True)
        world.make_referrals_worth(7)
        assert (await world.recover_event(pending.event)).balance_after == 100
        assert (await world.recover_event(pending.event)).balance_after == 100
        (entry,) = await world.point_entries("ada")
        assert (entry.event, entry.correlation_id) == (pending.event, pending.correlation_id)
        assert await world.pending() == []

    @pytest.mark.parametrize("cause", ["ACCOUNT_FROZEN", "BALANCE_LIMIT_EXCEEDED"])
    async def test_an_account_that_takes_nothing_keeps_nobody_from_arriving(self, world: World, cause: str) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")
        if cause == "ACCOUNT_FROZEN":
            await world.freeze("ada")
        else:
            await world.accrue(world.earning("ada", MAX_BALANCE - 99))
        introductions = [world.introduction("carol", adas), world.introduction("dan", bobs)]

        await world.attribute_referrals([Keyed(introduction) for introduction in introductions])

        assert await world.inviter("carol") == "ada"
        assert [(pending.event, pending.cause) for pending in await world.pending()] == [
            (signup("ada", "carol"), cause)
        ]
        assert await world.points_and_amounts("bob") == (100, [100])
        assert await world.broken_promises() == []

    async def test_a_sweep_credits_referrals_like_slips(self, world: World) -> None:
        code = await world.mint("ada")
        slip = await world.a_waiting_slip("ada")
        world.switch_points(on=False)
        await world.arrive("bob", code)
        world.switch_points(on=True)
        world.pass_time(minutes=1)

        assert sorted(await world.sweep()) == sorted(["bob", slip.slip_id])

        assert await world.points_and_amounts("ada") == (625, [525, 100])
        assert await world.broken_promises() == []
