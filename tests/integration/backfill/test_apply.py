"""Apply carries out the plan: every user is there with one code, and every link leads where it led."""

import asyncio

import pytest

from tallystick.adapters.postgres.backfill import sessions
from tallystick.application.backfill_ports import BackfillRefused, RunnerBusy
from tallystick.domain.codes import CROCKFORD, Code
from tallystick.domain.flags import Flag
from tallystick.domain.ledger import AccountKey
from tallystick.domain.users import Profile
from tests.integration.postgres.sessions import database_name, session
from tests.worlds.moving import LONG_AGO, Moving, a_user


async def test_users_come_with_their_code_time_and_profile(moving: Moving) -> None:
    await moving.move_in(
        a_user("ada", "ada-1111", email="Ada@Example.com", username="ada", display_name="Ada", phone="+44 1234"),
    )

    summary = await moving.world.summary("ada")
    assert summary is not None
    assert summary.user.created_at == LONG_AGO
    assert summary.user.profile == Profile("Ada@Example.com", "ada", "Ada", "+44 1234")
    assert (summary.code, summary.otp_verified) == ("ADA1111", False)
    assert await moving.world.broken_promises() == []


async def test_a_verified_phone_stays_verified(moving: Moving) -> None:
    await moving.move_in(a_user("ada", phone_verified=True), a_user("ben", phone_verified="false"))

    assert [(await moving.world.link(user)).otp_verified for user in ("ada", "ben")] == [True, False]


async def test_a_user_without_a_code_gets_one(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada"), a_user("ben", ""), a_user("cyd", "ß"))

    codes = await moving.codes()
    assert sorted(user_id for user_id, is_canonical in codes.values() if is_canonical) == ["ada", "ben", "cyd"]
    assert all(len(code) == 8 and set(code) <= set(CROCKFORD) for code in codes)
    assert (await moving.done(run)).minted == 3


async def test_a_user_who_loses_a_code_gets_a_new_one_and_the_code_means_one_user(moving: Moving) -> None:
    run = await moving.move_in(
        a_user("zoe", "SAME1111", day=1), a_user("ada", "same1111", day=2), a_user("ben", "SAME-1111", day=3)
    )

    codes = await moving.codes()
    assert codes["SAME1111"] == ("zoe", True)
    assert await moving.canonical("ada") not in {None, "SAME1111"}
    assert await moving.canonical("ben") not in {None, "SAME1111"}
    assert await moving.conflicts() == {
        ("SAME1111", "ada", "zoe", "duplicate"),
        ("SAME1111", "ben", "zoe", "duplicate"),
    }
    done = await moving.done(run)
    assert (done.kept, done.reminted, done.conflicts) == (1, 2, 2)


async def test_a_users_own_older_codes_resolve_beside_the_canonical_one(moving: Moving) -> None:
    await moving.move_in(
        a_user("ada", "OLDEST11", day=1), a_user("ada", "OLDER111", day=2), a_user("ada", "NEWEST11", day=3)
    )

    assert await moving.codes() == {
        "OLDEST11": ("ada", False),
        "OLDER111": ("ada", False),
        "NEWEST11": ("ada", True),
    }


async def test_a_user_with_a_code_here_keeps_it_and_the_legacy_one_becomes_an_alias(moving: Moving) -> None:
    here = await moving.world.mint("ada")

    await moving.move_in(a_user("ada", "ADA11111"))

    assert await moving.codes() == {here: ("ada", True), "ADA11111": ("ada", False)}


async def test_a_user_who_was_here_keeps_the_profile(moving: Moving) -> None:
    await moving.world.arrive("ada", profile=Profile(email="new@example.com"))

    await moving.move_in(a_user("ada", "ADA11111", email="old@example.com"))

    assert (await moving.world.profile("ada")).email == "new@example.com"
    assert await moving.canonical("ada") == "ADA11111"


async def test_an_address_that_somebody_has_here_stays_theirs(moving: Moving) -> None:
    await moving.world.arrive("ada", profile=Profile(email="x@example.com", username="x"))

    await moving.move_in(a_user("ben", "BEN11111", email="X@example.com", username="x", display_name="Ben"))

    assert await moving.world.profile("ben") == Profile(display_name="Ben")


async def test_a_code_that_is_somebodys_here_stays_theirs(moving: Moving) -> None:
    await moving.world.mint("old", candidates=["HERE1111"] * 8)

    await moving.move_in(a_user("ada", "HERE1111"))

    assert (await moving.codes())["HERE1111"] == ("old", True)
    assert await moving.canonical("ada") is not None
    assert await moving.conflicts() == {("HERE1111", "ada", "old", "held")}


async def test_a_code_of_somebody_who_was_deleted_here_is_given_to_nobody(moving: Moving) -> None:
    await moving.world.mint("old", candidates=["GONE1111"] * 8)
    await moving.world.deliver("deleted", "old")

    await moving.move_in(a_user("ada", "GONE1111"))

    assert await moving.world.resolve("GONE1111") == "unknown"
    assert await moving.conflicts() == {("GONE1111", "ada", "old", "held")}


async def test_a_user_who_is_deleted_before_they_ever_came_is_not_imported(moving: Moving) -> None:
    run = await moving.plan(
        a_user("ada", "ADA11111", email="ada@example.com", points=5, referred_by="ben"), a_user("ben", "BEN11111")
    )
    deleted = await moving.world.delete("ada")

    await moving.apply(run)

    summary = await moving.world.summary("ada")
    assert summary is not None
    assert (summary.user.deleted_at, summary.user.profile) == (deleted.deleted_at, Profile())
    assert "ADA11111" not in await moving.codes()
    assert await moving.world.edge("ada") is None
    assert (await moving.verify(run)).holds
    assert await moving.world.broken_promises() == []


async def test_a_user_who_is_deleted_between_plan_and_apply_stays_deleted(moving: Moving) -> None:
    run = await moving.plan(
        a_user("ada", "ADA11111", points=5, referred_by="ben"), a_user("ben", "BEN11111"), a_user("cyd", "CYD11111")
    )
    await moving.world.mint("ada", candidates=["OTHER111"] * 8)
    await moving.world.deliver("deleted", "ada")

    await moving.apply(run)

    assert await moving.world.resolve("ADA11111") == "unknown"
    assert await moving.world.edge("ada") is None
    assert (await moving.verify(run)).holds
    assert await moving.world.broken_promises() == []


async def test_a_user_who_gets_a_code_between_plan_and_apply_keeps_it(moving: Moving) -> None:
    run = await moving.plan(a_user("ada", "ADA11111"))
    minted = await moving.world.mint("ada")

    await moving.apply(run)

    assert await moving.codes() == {minted: ("ada", True), "ADA11111": ("ada", False)}
    assert (await moving.verify(run)).holds


async def test_a_new_code_is_never_one_that_a_user_of_the_plan_has(moving: Moving) -> None:
    """The chunk of the user who has it may come later."""
    moving.candidates = (*[Code("ZOE11111")] * 7, Code("FREE1111"))

    await moving.move_in(a_user("ada"), a_user("zoe", "ZOE11111"), chunk=1)

    assert await moving.codes() == {"FREE1111": ("ada", True), "ZOE11111": ("zoe", True)}


async def test_referrals_come_as_they_were_and_earn_nothing_again(moving: Moving) -> None:
    await moving.move_in(
        a_user("ada", "ADA11111"),
        a_user("ben", day=4, referred_by="ada11111"),
        a_user("cyd", day=5, referred_by="ada"),
    )

    edge = await moving.world.edge("ben")
    assert edge is not None
    assert (edge.inviter_id, edge.code, edge.created_at.day) == ("ada", "ADA11111", 5)
    assert await moving.world.inviter("cyd") == "ada"
    assert [(leader.user_id, leader.referrals) for leader in await moving.world.leaders()] == [("ada", 2)]
    assert await moving.rows("SELECT 1 FROM tallystick.ledger_entries") == []
    assert await moving.world.broken_promises() == []


async def test_a_user_with_an_inviter_here_keeps_them(moving: Moving) -> None:
    code = await moving.world.mint("first")
    await moving.world.arrive("ada", code)

    run = await moving.move_in(a_user("ada", referred_by="later"), a_user("later", "LATER111"))

    assert await moving.world.inviter("ada") == "first"
    assert (await moving.done(run)).left_out == 1
    assert (await moving.verify(run)).holds


async def test_no_two_users_invite_each_other_across_the_move(moving: Moving) -> None:
    code = await moving.world.mint("ada")
    await moving.world.arrive("ben", code)

    run = await moving.move_in(a_user("ada", referred_by="ben"), a_user("ben"))

    assert await moving.world.edge("ada") is None
    assert (await moving.verify(run)).holds
    assert await moving.world.broken_promises() == []


async def test_points_come_as_one_entry_with_their_tier(moving: Moving) -> None:
    await moving.world.a_player("ben")
    await moving.world.award("ben", 10)

    await moving.move_in(a_user("ada", points=1500), a_user("ben", points="7"))

    (entry,) = await moving.world.point_entries("ada")
    assert (entry.amount, entry.event_type, entry.event_key, entry.tier_after) == (1500, "backfill", "points", "silver")
    balances = await moving.world.reads(
        lambda stores: stores.ledger.balances([AccountKey(user, "points") for user in ("ada", "ben")])  # type: ignore[arg-type]
    )
    assert sorted(account.balance for account in balances.values()) == [17, 1500]
    assert await moving.world.broken_promises() == []


async def test_points_are_imported_once_and_later_imports_add_none(moving: Moving) -> None:
    await moving.move_in(a_user("ada", "ADA11111", points=5))

    again = await moving.plan(a_user("ada", "ADA11111", points=5), a_user("ben", points=6))
    await moving.apply(again)

    assert [entry.amount for entry in await moving.world.point_entries("ada")] == [5]
    assert (await moving.done(again)).points == 1
    assert (await moving.verify(again)).holds


async def test_points_are_brought_while_points_are_switched_off(moving: Moving) -> None:
    """Points that were earned before are not earned again."""
    moving.world.flags.switch(Flag.POINTS_ENABLED, enabled=False)

    await moving.move_in(a_user("ada", points=5))

    assert len(await moving.world.point_entries("ada")) == 1


async def test_points_of_a_frozen_account_are_left_out_and_reported(moving: Moving) -> None:
    await moving.world.a_player("ada")
    await moving.world.freeze("ada")

    run = await moving.move_in(a_user("ada", points=5))

    assert (await moving.done(run)).left_out == 1
    assert await moving.world.point_entries("ada") == []


async def test_points_that_no_account_can_hold_are_left_out_and_excused(moving: Moving) -> None:
    await moving.world.a_player("ada")
    await moving.world.award("ada", 10)

    run = await moving.move_in(a_user("ada", points=2**53 - 1), a_user("ben", points=1))
    await moving.world.award("ada", 5)

    assert (await moving.done(run)).points_left_out == [1]
    assert (await moving.verify(run)).holds


async def test_a_frozen_account_that_was_thawed_since_is_no_broken_promise(moving: Moving) -> None:
    await moving.world.a_player("ada")
    await moving.world.freeze("ada")
    run = await moving.move_in(a_user("ada", points=5))

    await moving.world.thaw("ada")

    assert (await moving.verify(run)).holds


async def test_a_referral_belongs_to_the_user_who_had_the_code_there(moving: Moving) -> None:
    """The holder of the code here never invited anybody by it."""
    await moving.world.mint("zed", candidates=["SHARED11"] * 8)

    await moving.move_in(a_user("ada", "SHARED11"), a_user("ben", referred_by="SHARED11"))

    edge = await moving.world.edge("ben")
    assert edge is not None
    assert (edge.inviter_id, edge.code) == ("ada", None)


async def test_a_time_out_of_the_databases_own_ends_nothing(moving: Moving) -> None:
    async with session(moving.dsn) as owner:
        await owner.execute(f"ALTER DATABASE {database_name(moving.dsn)} SET statement_timeout = '1ms'")
    try:
        run = await moving.move_in(*(a_user(f"user{n}", f"CODE{n}") for n in range(500)), chunk=500)
        assert (await moving.verify(run)).holds
        await moving.roll_back(run)
    finally:
        async with session(moving.dsn) as owner:
            await owner.execute("SET statement_timeout = 0")
            await owner.execute(f"ALTER DATABASE {database_name(moving.dsn)} RESET statement_timeout")


async def test_applying_twice_is_applying_once(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111", points=5), a_user("ben", referred_by="ada"), a_user("cyd"))
    before = await moving.dump()

    await moving.apply(run)

    assert await moving.dump() == before


async def test_one_runner_at_a_time(moving: Moving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "WAIT_SECONDS", 0.3)
    run = await moving.plan(a_user("ada", "ADA11111"))

    async with moving.database().session() as rival, rival.only_runner():
        with pytest.raises(RunnerBusy):
            await moving.apply(run)
        with pytest.raises(RunnerBusy):
            await moving.plan(a_user("ben"), name="others.jsonl")

    await moving.apply(run)
    assert await moving.state(run) == "applied"


async def test_two_runners_at_once_do_it_once(moving: Moving) -> None:
    run = await moving.plan(*(a_user(f"user{number}") for number in range(40)), chunk=1)

    outcomes = await asyncio.gather(*(moving.apply(run) for _ in range(2)), return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} <= {RunnerBusy, type(await moving.done(run))}
    assert await moving.state(run) == "applied"
    assert len(await moving.codes()) == 40


async def test_a_run_that_is_under_way_is_ended_before_another_begins(moving: Moving) -> None:
    begun = await moving.plan(a_user("ada", "ADA11111"))
    async with moving.session() as connection:
        await connection.execute("UPDATE tallystick.backfill_runs SET state = 'applying'")
    other = await moving.plan(a_user("ben", "BEN11111"), name="others.jsonl")

    with pytest.raises(BackfillRefused, match="finish it, or roll it back"):
        await moving.apply(other)

    await moving.apply(begun)
    await moving.apply(other)
    assert set(await moving.codes()) == {"ADA11111", "BEN11111"}


async def test_several_connections_import_the_same(moving: Moving) -> None:
    run = await moving.plan(
        *(a_user(f"user{n:03}", f"CODE{n % 50:04}", day=n, referred_by=f"user{n // 2:03}") for n in range(1, 100)),
        chunk=7,
    )

    await moving.apply(run, connections=4)

    assert (await moving.verify(run)).holds
    assert await moving.world.broken_promises() == []
