"""The points of an inviter."""

import pytest

from tallystick.application.idempotency import Keyed, Replayed
from tallystick.domain.ledger import MAX_BALANCE, EventKey
from tallystick.domain.pending_accruals import AccrualPending
from tallystick.domain.users import EmailTaken, Profile, UserDeleted, UserId
from tests.worlds.world import World


def signup(inviter: str, invitee: str) -> EventKey:
    return EventKey(UserId(inviter), "points", "referral_signup", invitee)


class TestReferralPoints:
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
        upsert = Keyed(world.upsert("bob", code))

        assert await world.attribute_referrals([upsert]) == await world.attribute_referrals([upsert])

        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_a_replayed_upsert_credits_nothing(self, world: World) -> None:
        code = await world.mint("ada")
        await world.arrive("bob", code, key="k1")

        with pytest.raises(Replayed):
            await world.arrive("bob", code, key="k1")

        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_an_invitee_without_a_living_inviter_earns_nobody_anything(self, world: World) -> None:
        own = await world.mint("ada")
        await world.arrive("ada", own)
        await world.arrive("bob", "NONE1234")
        gone = await world.mint("gone")
        await world.deliver("deleted", "gone")
        await world.arrive("carol", gone)

        assert [await world.points_and_amounts(user) for user in ("ada", "gone")] == [(0, []), (0, [])]
        assert await world.pending() == []

    async def test_a_refused_profile_earns_nobody_anything(self, world: World) -> None:
        code = await world.mint("ada")
        await world.arrive("eve", profile=Profile(email="taken@example.org"))

        with pytest.raises(EmailTaken):
            await world.arrive("bob", code, profile=Profile(email="taken@example.org"))

        assert await world.points_and_amounts("ada") == (0, [])

    async def test_a_batch_of_upserts_credits_everybody(self, world: World) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")
        upserts = [
            world.upsert("carol", adas),
            world.upsert("dan", bobs),
            world.upsert("eve", adas),
            world.upsert("carol", bobs),
        ]

        await world.attribute_referrals([Keyed(upsert) for upsert in upserts])

        assert [entry.event_key for entry in await world.point_entries("ada")] == ["eve", "carol"]
        assert [entry.event_key for entry in await world.point_entries("bob")] == ["dan"]
        assert {entry.correlation_id for entry in await world.point_entries("bob")} == {upserts[1].correlation_id}
        assert await world.broken_promises() == []

    async def test_the_points_of_an_invitee_are_a_setting(self, world: World) -> None:
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
        upserts = [world.upsert("carol", adas), world.upsert("dan", bobs)]

        await world.attribute_referrals([Keyed(upsert) for upsert in upserts])

        assert await world.inviter("carol") == "ada"
        assert [(pending.event, pending.cause) for pending in await world.pending()] == [
            (signup("ada", "carol"), cause)
        ]
        assert await world.points_and_amounts("bob") == (100, [100])
        assert await world.broken_promises() == []

    async def test_where_a_phone_is_needed_points_wait_visibly_until_it_is_verified(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")

        await world.arrive("bob", code)

        assert await world.inviter("bob") == "ada"
        (pending,) = await world.pending()
        assert (pending.event, pending.points, pending.cause) == (signup("ada", "bob"), 100, "PHONE_NOT_VERIFIED")
        assert await world.points_and_amounts("ada") == (0, [])
        assert (await world.backlog()).waiting == 0
        with pytest.raises(AccrualPending):
            await world.recover_event(pending.event)
        assert await world.broken_promises() == []

    @pytest.mark.parametrize("how", ["upsert", "webhook", "sign-up", "sweep"])
    async def test_a_verified_phone_credits_what_waits_once_however_it_arrives(self, world: World, how: str) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")
        await world.arrive("bob", code)
        (pending,) = await world.pending()

        async def confirm() -> None:
            if how == "upsert":
                await world.arrive("bob", phone_verified=True)
            elif how == "webhook":
                await world.deliver("updated", "bob", phone_confirmed=True)
            elif how == "sign-up":
                invite = await world.an_invite()
                await world.sign_up(world.sign_up_command("bob", invite.code, phone_verified=True))
            else:
                await world.bring_verification("bob")
                world.pass_time(minutes=1)
                assert await world.sweep() == ["bob"]

        await confirm()
        credited = await world.point_entries("ada")
        await world.arrive("bob", code, phone_verified=True)
        await world.deliver("updated", "bob", phone_confirmed=True)
        world.pass_time(minutes=1)

        assert await world.sweep() == []
        assert await world.point_entries("ada") == credited
        assert [(entry.event, entry.amount, entry.correlation_id) for entry in credited] == [
            (pending.event, 100, pending.correlation_id)
        ]
        assert await world.pending() == []
        assert await world.broken_promises() == []

    async def test_a_user_with_a_verified_phone_earns_their_inviter_points_at_once(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")
        await world.arrive("carol", phone_verified=True)

        await world.arrive("bob", code, phone_verified=True)
        await world.arrive("carol", code)
        unverified, verified = world.upsert("dan", code), world.upsert("dan", phone_verified=True)
        await world.attribute_referrals([Keyed(unverified), Keyed(verified)])

        assert await world.points_and_amounts("ada") == (300, [100, 100, 100])
        assert await world.pending() == []

    async def test_a_sweep_leaves_alone_what_waits_for_a_phone(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")
        await world.arrive("bob", code)
        before = await world.pending()
        world.pass_time(hours=1)

        assert await world.sweep() == []

        assert await world.pending() == before

    async def test_where_a_phone_is_needed_no_more_a_sweep_credits_what_waited(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")
        await world.arrive("bob", code)
        world.make_referrals_worth(7)
        world.pass_time(minutes=1)

        assert await world.sweep() == ["bob"]
        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_a_phone_that_is_verified_while_points_are_off_credits_once_they_are_on(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")
        await world.arrive("bob", code)
        world.switch_points(on=False)
        await world.arrive("bob", phone_verified=True)
        assert [pending.cause for pending in await world.pending()] == ["POINTS_DISABLED"]

        world.switch_points(on=True)
        world.pass_time(minutes=1)

        assert await world.sweep() == ["bob"]
        assert await world.points_and_amounts("ada") == (100, [100])

    async def test_above_the_daily_cap_points_wait_for_the_next_days(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, daily_cap=2)
        upserts = [Keyed(world.upsert(f"user-{number}", code)) for number in range(3)]

        await world.attribute_referrals(upserts)
        await world.arrive("user-3", code)
        await world.arrive("user-4", code)
        world.pass_time(minutes=1)

        assert await world.points_and_amounts("ada") == (200, [100, 100])
        assert {pending.cause for pending in await world.pending()} == {"REFERRAL_CAP_REACHED"}
        assert await world.sweep() == []
        world.pass_time(hours=24)
        assert len(await world.sweep()) == 2
        world.pass_time(minutes=1)
        assert await world.sweep() == []
        with pytest.raises(AccrualPending):
            await world.recover_event((await world.pending())[0].event)
        world.pass_time(hours=24)
        assert len(await world.sweep()) == 1
        assert await world.points_and_amounts("ada") == (500, [100] * 5)
        assert await world.broken_promises() == []

    async def test_the_cap_is_each_inviters_own_and_ends_with_the_day_of_utc(self, world: World) -> None:
        adas, bobs = await world.mint("ada"), await world.mint("bob")
        world.make_referrals_worth(100, daily_cap=1)
        world.pass_time(hours=23, minutes=59, seconds=59)

        await world.arrive("a1", adas)
        await world.arrive("b1", bobs)
        await world.arrive("a2", adas)
        world.pass_time(seconds=1)
        await world.arrive("a3", adas)

        assert await world.points_and_amounts("ada") == (200, [100, 100])
        assert await world.points_and_amounts("bob") == (100, [100])
        assert [pending.event_key for pending in await world.pending()] == ["a2"]

    async def test_the_cap_counts_those_whose_phone_is_verified(self, world: World) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone", daily_cap=1)
        for user in ("bob", "carol", "dan"):
            await world.arrive(user, code)

        for user in ("bob", "carol"):
            await world.arrive(user, phone_verified=True)

        assert await world.points_and_amounts("ada") == (100, [100])
        assert {pending.event_key: pending.cause for pending in await world.pending()} == {
            "carol": "REFERRAL_CAP_REACHED",
            "dan": "PHONE_NOT_VERIFIED",
        }

    async def test_a_user_who_is_deleted_and_comes_again_under_their_id_earns_nobody_anything(
        self, world: World
    ) -> None:
        code = await world.mint("ada")
        world.make_referrals_worth(100, need="phone")
        await world.arrive("bob", code)
        await world.delete("bob")

        with pytest.raises(UserDeleted):
            await world.arrive("bob", code, phone_verified=True)
        await world.deliver("updated", "bob", phone_confirmed=True)
        world.pass_time(hours=1)

        assert await world.sweep() == []
        assert await world.points_and_amounts("ada") == (0, [])

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
