"""A plan says what would happen, and nothing that is served changes."""

import pytest

from tallystick.application.backfill_chunks import SourceChanged
from tallystick.application.backfill_planning import DuplicatesUnresolved
from tallystick.domain.codes import Code
from tests.worlds.moving import Moving, a_user


async def test_it_counts_what_codes_there_are(moving: Moving) -> None:
    run = await moving.plan(
        a_user("ada", "ADA11111"),
        a_user("ben", "ben-2222"),
        a_user("cyd"),
        a_user("dan", ""),
        a_user("eve", "   "),
        a_user("fay", "ß???"),
        a_user("gus", "A" * 33),
    )

    plan = run.plan
    assert (plan.lines, plan.users, plan.codes, plan.changed) == (7, 7, 2, 1)
    assert (plan.missing, plan.empty, plan.formless, plan.formless_lines) == (3, 2, 2, [6, 7])
    assert (plan.kept, plan.minted, plan.reminted, plan.aliases) == (2, 5, 0, 0)


async def test_it_serves_nothing_yet(moving: Moving) -> None:
    await moving.world.mint("old")
    before = await moving.dump()

    await moving.plan(a_user("ada", "ADA11111", points=5, referred_by="old"))

    assert await moving.dump() == before
    assert await moving.world.resolve("ADA11111") == "unknown"


async def test_the_earliest_user_keeps_a_code_and_then_the_first_by_id(moving: Moving) -> None:
    run = await moving.plan(
        a_user("ada", "SAME1111", day=3), a_user("zoe", "same-1111", day=1), a_user("ben", "SAME 1111", day=1)
    )

    rows = await moving.rows("SELECT user_id, kept_by FROM tallystick.legacy_codes ORDER BY user_id")
    assert rows == [("ada", "ben"), ("ben", None), ("zoe", "ben")]
    assert (run.plan.duplicate_codes, run.plan.duplicate_users) == (1, 2)
    assert (run.plan.kept, run.plan.reminted) == (1, 2)


async def test_nobody_rules_on_a_code_where_somebodys_time_is_missing(moving: Moving) -> None:
    with pytest.raises(DuplicatesUnresolved) as refused:
        await moving.plan(a_user("ada", "SAME1111", day=3), a_user("ben", "SAME1111", day=None))

    assert [(contest.code, contest.user_id) for contest in refused.value.contests] == [
        (Code("SAME1111"), "ada"),
        (Code("SAME1111"), "ben"),
    ]
    assert refused.value.total == 2
    assert await moving.rows("SELECT 1 FROM tallystick.backfill_runs") == []


async def test_a_time_is_not_missed_where_nobody_else_claims_the_code(moving: Moving) -> None:
    run = await moving.plan(a_user("ada", "ADA11111", day=None))

    assert run.plan.kept == 1


async def test_of_several_lines_of_one_user_the_latest_code_is_canonical(moving: Moving) -> None:
    run = await moving.plan(
        a_user("ada", "FIRST111", day=1),
        a_user("ada", "LATEST11", day=9),
        a_user("ada", "MIDDLE11", day=5),
        a_user("ada", None, day=10),
        a_user("ada", "first-111", day=2),
    )

    rows = await moving.rows("SELECT code, is_canonical FROM tallystick.legacy_codes ORDER BY code")
    assert rows == [("FIRST111", False), ("LATEST11", True), ("MIDDLE11", False)]
    assert (run.plan.users, run.plan.kept, run.plan.aliases) == (1, 1, 2)


async def test_a_user_of_several_lines_came_on_the_first_day(moving: Moving) -> None:
    """The time of the user decides who was first, and not the time of the line with the code."""
    await moving.plan(a_user("ada", None, day=1), a_user("ada", "SAME1111", day=9), a_user("ben", "SAME1111", day=5))

    rows = await moving.rows("SELECT user_id, kept_by FROM tallystick.legacy_codes ORDER BY user_id")
    assert rows == [("ada", None), ("ben", "ada")]


async def test_lines_that_cannot_be_read_are_reported_by_number_and_stop_nobody(moving: Moving) -> None:
    run = await moving.plan(
        b"{",
        a_user("ada", "ADA11111"),
        b'{"user_id": "\xff"}',
        a_user("no good id", "BEN11111"),
        a_user("cyd", "CYD11111", points=-1),
        a_user("dan", "DAN11111") | {"created_at": "soon"},
        a_user("eve", ["EVE11111"]),
        b"",
        b"[1]",
    )

    rows = await moving.rows("SELECT line, reason FROM tallystick.backfill_malformed ORDER BY line")
    assert [line for line, _ in rows] == [1, 3, 4, 5, 6, 7, 9]
    assert dict(rows)[5].startswith("points has to be a whole number")
    assert (run.plan.malformed, run.plan.users) == (7, 1)


async def test_a_user_who_was_deleted_there_or_here_is_not_imported(moving: Moving) -> None:
    await moving.world.mint("ben")
    await moving.world.deliver("deleted", "ben")

    run = await moving.plan(
        a_user("ada", "ADA11111", deleted_at="2024-05-01"), a_user("ben", "SAME1111"), a_user("cyd", "SAME1111", day=9)
    )

    plan = run.plan
    assert (plan.deleted_there, plan.deleted_here, plan.users, plan.duplicate_codes) == (1, 1, 1, 0)


async def test_it_sees_what_is_here_already(moving: Moving) -> None:
    await moving.world.mint("ada", candidates=["HERE1111"] * 8)

    run = await moving.plan(a_user("ada", "ADA11111"), a_user("ben", "HERE1111"), a_user("cyd", "CYD11111"))

    plan = run.plan
    assert (plan.users_here, plan.with_code_here, plan.held_here) == (1, 1, 1)
    assert (plan.kept, plan.reminted, plan.minted, plan.aliases) == (1, 1, 0, 1)


async def test_the_same_source_is_the_same_plan_and_another_one_is_another(moving: Moving) -> None:
    first = await moving.plan(a_user("ada", "ADA11111"))
    again = await moving.plan(a_user("ada", "ADA11111"))
    other = await moving.plan(a_user("ada", "ADA22222"))

    assert first == again
    assert first.plan_hash != other.plan_hash
    # A plan that was never applied is replaced by the newer one.
    assert await moving.rows("SELECT plan_hash FROM tallystick.backfill_runs") == [(other.plan_hash,)]
    assert await moving.rows("SELECT DISTINCT run FROM tallystick.legacy_users") == [(other.run,)]


async def test_a_changed_source_is_not_applied(moving: Moving) -> None:
    run = await moving.plan(a_user("ada", "ADA11111"))
    moving.file([a_user("ada", "ADA11112")])

    with pytest.raises(SourceChanged):
        await moving.apply(run)

    assert await moving.codes() == {}


async def test_referrals_are_found_by_code_and_by_id(moving: Moving) -> None:
    await moving.world.mint("old", candidates=["OLD11111"] * 8)

    run = await moving.plan(
        a_user("ada", "ADA11111"),
        a_user("ben", referred_by="ada-11111"),
        a_user("cyd", referred_by="ada"),
        a_user("dan", referred_by="old11111"),
        a_user("eve", referred_by="old"),
        a_user("fay", referred_by="nobody"),
        a_user("gus", "GUS11111", referred_by="GUS11111"),
    )

    rows = await moving.rows("SELECT user_id, inviter_id FROM tallystick.legacy_users ORDER BY user_id")
    assert dict(rows) == {
        "ada": None,
        "ben": "ada",
        "cyd": "ada",
        "dan": "old",
        "eve": "old",
        "fay": None,
        "gus": None,
    }
    assert run.plan.edges_left_out == {"self": 1, "unknown": 1}


async def test_a_value_that_could_be_a_code_and_an_id_needs_an_option(moving: Moving) -> None:
    lines = [a_user("1234", "AAAA1111"), a_user("ada", "1234"), a_user("ben", referred_by="1234")]

    unclear = await moving.plan(*lines)
    by_code = await moving.plan(*lines, referred_by="code")
    found_by_code = await moving.rows("SELECT inviter_id FROM tallystick.legacy_users WHERE user_id = 'ben'")
    await moving.plan(*lines, referred_by="user_id")
    found_by_id = await moving.rows("SELECT inviter_id FROM tallystick.legacy_users WHERE user_id = 'ben'")

    assert unclear.plan.edges_left_out == {"ambiguous": 1}
    assert (by_code.plan.edges.rows, found_by_code, found_by_id) == (1, [("ada",)], [("1234",)])


async def test_of_two_who_are_said_to_have_invited_each_other_the_later_one_was_invited(moving: Moving) -> None:
    run = await moving.plan(a_user("ada", day=2, referred_by="ben"), a_user("ben", day=1, referred_by="ada"))

    rows = await moving.rows("SELECT user_id, inviter_id FROM tallystick.legacy_users ORDER BY user_id")
    assert rows == [("ada", "ben"), ("ben", None)]
    assert run.plan.edges_left_out == {"cycle": 1}


async def test_a_lost_code_leads_to_the_user_who_keeps_it(moving: Moving) -> None:
    await moving.plan(
        a_user("ada", "SAME1111", day=1), a_user("ben", "SAME1111", day=2), a_user("cyd", referred_by="SAME1111")
    )

    rows = await moving.rows("SELECT inviter_id FROM tallystick.legacy_users WHERE user_id = 'cyd'")
    assert rows == [("ada",)]


async def test_an_address_is_one_users_and_an_unusable_one_costs_nobody_the_code(moving: Moving) -> None:
    run = await moving.plan(
        a_user("ada", "ADA11111", day=2, email="x@example.com", username="x"),
        a_user("ben", "BEN11111", day=1, email="X@EXAMPLE.COM", username="x"),
        a_user("cyd", "CYD11111", email="no address", phone="no"),
    )

    rows = await moving.rows("SELECT user_id, email, username FROM tallystick.legacy_users ORDER BY user_id")
    assert rows == [("ada", None, None), ("ben", "X@EXAMPLE.COM", "x"), ("cyd", None, None)]
    assert (run.plan.fields_left_out, run.plan.kept) == (2, 3)
