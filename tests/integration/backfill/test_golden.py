"""A source with everything that is messy, and what becomes of it, by hand: plan, move, proof and way back."""

from pathlib import Path

import pytest

from tallystick.application.backfill_planning import PlanBackfill
from tallystick.domain.backfill import Options, Run
from tests.worlds.moving import Moving

GOLDEN = Path(__file__).with_name("golden.jsonl")
NEW = "a new code"

FOUND = {
    # In every spelling, there is one normal form.
    "plain": "PLAIN111",
    "lower": "LOWER111",
    "mixed": "MIXED111",
    "hyphens": "HYPHENS1",
    "spaces": "SPACES1",
    "shortest": "ABCD",
    "longest": "L" * 32,
    "numeric": "12345678",
    "leading-zeros": "00012345",
    # Look-alikes are different codes.
    "letter-o": "LOOK0O11",
    "digit-zero": "LOOKO011",
    "letter-i": "IIII1111",
    "letter-l": "LLLL1111",
    # Nothing.
    "no-code": NEW,
    "null-code": NEW,
    "empty-code": NEW,
    "blank-code": NEW,
    "em-space": NEW,
    # No normal form.
    "too-short": NEW,
    "too-long": NEW,
    "sixty-four": NEW,
    "underscore": NEW,
    "dotless": NEW,
    "kelvin": NEW,
    "full-width": NEW,
    "cyrillic": NEW,
    "emoji": NEW,
    "only-hyphens": NEW,
    # Claimed by several: the earliest, then the first by id.
    "three-first": "THREE111",
    "three-middle": NEW,
    "three-late": NEW,
    "tie-a": "TIETIE11",
    "tie-b": NEW,
    # The earliest was deleted, there or here.
    "after-deleted": "WASTHEIRS",
    "after-gone": "WASHERES",
    # Several lines: the latest code, and the others as aliases.
    "many": "MANY1111",
    "loser": NEW,
    # Existing rows stay.
    "claims-held": NEW,
    "known": "KNOWN111",
    "known-same": "SAMEHERE",
    "by-code": "BYCODE11",
    "by-id": "BYID1111",
    "by-alias": "BYALIAS1",
    "by-lost": "BYLOST11",
    "by-here": "BYHERE11",
    "by-nobody": "BYNOBODY",
    "by-deleted": "BYDELETE",
    "by-self": "BYSELF11",
    "cycle-a": "CYCLEA11",
    "cycle-b": "CYCLEB11",
    "AMBIG111": "AMBIGUS1",
    "ambiguous-owner": "AMBIG111",
    "by-ambiguous": "BYAMBIG1",
    "profile": "PROFILE1",
    "same-profile": "PROFILE2",
    "bad-profile": "PROFILE3",
    "no-time": "NOTIME11",
    "twice": "TWICE222",
}
"""By which code each user of the source is shown."""
ALIASES = {"MANY2222": "many", "MANY3333": "many", "LOSERS11": "loser", "KNOWN222": "known"}
CONFLICTS = {
    ("PLAIN111", "loser", "plain", "duplicate"),
    ("THREE111", "three-late", "three-first", "duplicate"),
    ("THREE111", "three-middle", "three-first", "duplicate"),
    ("TIETIE11", "tie-b", "tie-a", "duplicate"),
    ("HERE1111", "claims-held", "old", "held"),
}
EDGES = {
    "guest": ("old", "HERE1111"),
    "many": ("plain", None),
    "by-code": ("hyphens", "HYPHENS1"),
    "by-id": ("spaces", None),
    "by-alias": ("many", "MANY2222"),
    "by-lost": ("plain", "PLAIN111"),
    "by-here": ("claims-held", None),
    "cycle-b": ("cycle-a", None),
}
"""Invitees, inviters and codes."""
BALANCES = {"old": 100, "known": 15, "many": 20, "profile": 1500}
MALFORMED = {
    67: "the line is not UTF-8",
    68: "the line is not UTF-8",
    69: "the line is not a JSON object",
    70: "the line is not a JSON object",
    71: "the line is not a JSON object",
    72: "user_id has to be",
    73: "user_id has to be",
    74: "user_id has to be",
    75: "user_id holds a NUL character",
    76: "code has to be a text",
    77: "points has to be a whole number",
    78: "points has to be a text or a whole number",
    79: "points has to be a whole number",
    80: "created_at has to be a time",
}
COUNTS = {
    "lines": 79,
    "malformed": 14,
    "deleted_there": 1,
    "fields_left_out": 4,
    "users": 58,
    "users_here": 2,
    "deleted_here": 1,
    "with_code_here": 2,
    "codes": 43,
    "missing": 13,
    "empty": 3,
    "formless": 10,
    "formless_lines": list(range(19, 29)),
    "changed": 8,
    "duplicate_codes": 3,
    "duplicate_users": 4,
    "kept": 36,
    "reminted": 5,
    "minted": 15,
    "aliases": 4,
    "held_here": 1,
    "edges_left_out": {"ambiguous": 1, "cycle": 1, "self": 1, "unknown": 2},
    "points_total": 1525,
    "ignored_columns": ["shoe_size"],
}


@pytest.fixture
async def seeded(moving: Moving) -> Moving:
    """Return a database where some of them are already, and one was."""
    for user, code in (
        ("old", "HERE1111"),
        ("known", "KNOWN111"),
        ("known-same", "SAMEHERE"),
        ("deleted-here", "GONE1111"),
    ):
        await moving.world.mint(user, candidates=[code] * 8)
    await moving.world.arrive("guest", "HERE1111")
    await moving.world.award("known", 10)
    await moving.world.deliver("deleted", "deleted-here")
    return moving


async def planned(moving: Moving, chunk: int = 7) -> Run:
    options = Options("jsonl", chunk=chunk)
    return await PlanBackfill(moving.database(), moving.world.clock)(
        moving.source(GOLDEN), options, lambda _share: None
    )


async def test_the_plan_counts_what_there_is(seeded: Moving) -> None:
    plan = (await planned(seeded)).plan

    assert {name: getattr(plan, name) for name in COUNTS} == COUNTS
    assert (plan.edges.rows, plan.points.rows, plan.claims.rows) == (7, 3, 46)
    assert plan.minted == sum(code == NEW for code in FOUND.values()) - plan.reminted


async def test_the_plan_lists_what_cannot_be_read(seeded: Moving) -> None:
    await planned(seeded)

    rows = dict(await seeded.rows("SELECT line, reason FROM tallystick.backfill_malformed"))
    assert sorted(rows) == sorted(MALFORMED)
    assert [line for line, reason in MALFORMED.items() if not rows[line].startswith(reason)] == []


@pytest.mark.parametrize(("chunk", "connections"), [(7, 2), (1, 1), (20_000, 1)])
async def test_everybody_has_what_the_table_says(seeded: Moving, chunk: int, connections: int) -> None:
    run = await planned(seeded, chunk)

    done = await seeded.apply(run, connections=connections)

    book = await seeded.codes()
    shown = {user: code for code, (user, is_canonical) in book.items() if is_canonical}
    promised = {*FOUND.values(), *ALIASES, "HERE1111", "GONE1111"}
    assert {user: shown[user] if shown[user] in promised else NEW for user in FOUND} == FOUND
    assert {code: user for code, (user, is_canonical) in book.items() if not is_canonical} == ALIASES
    assert shown["old"] == "HERE1111"
    assert len(book) == len(FOUND) + len(ALIASES) + 2
    assert await seeded.conflicts() == CONFLICTS
    assert (done.kept, done.reminted, done.minted, done.aliases, done.conflicts) == (36, 5, 15, 4, 5)
    assert (done.users, done.edges, done.points, done.left_out) == (56, 7, 3, 0)


async def test_referrals_points_and_profiles_come_along(seeded: Moving) -> None:
    await seeded.apply(await planned(seeded))

    edges = await seeded.rows("SELECT invitee_id, inviter_id, code FROM tallystick.referral_edges")
    assert {invitee: (inviter, code) for invitee, inviter, code in edges} == EDGES
    accounts = await seeded.rows("SELECT user_id, balance FROM tallystick.ledger_accounts WHERE unit = 'points'")
    assert dict(accounts) == BALANCES
    profiles = {user: await seeded.world.profile(user) for user in ("profile", "same-profile", "bad-profile", "many")}
    stored = {user: (p.email, p.username, p.display_name, p.phone) for user, p in profiles.items()}
    assert stored == {
        "profile": ("Shared@Example.com", "sharedname", "Ærø «ß»", "+45 12 34 56 78"),
        "same-profile": (None, None, "Other", None),
        "bad-profile": (None, None, None, None),
        "many": ("many@example.com", None, None, None),
    }
    assert await seeded.rows("SELECT user_id, source FROM tallystick.phone_verifications") == [("profile", "backfill")]
    assert await seeded.world.broken_promises() == []


async def test_every_code_of_the_source_leads_to_its_user_or_is_listed(seeded: Moving) -> None:
    run = await planned(seeded)
    await seeded.apply(run)

    report = await seeded.verify(run)

    assert report.holds, report
    assert (report.codes, report.conflicts, report.deleted, report.broken_lines) == (48, 5, 1, [])


async def test_the_way_back_leads_to_where_it_began(seeded: Moving) -> None:
    before = await seeded.dump()
    run = await planned(seeded)
    await seeded.apply(run)

    done = await seeded.roll_back(run)

    assert await seeded.dump() == before
    assert (done.users_removed, done.users_kept, done.edges_removed, done.points_removed) == (56, 0, 7, 3)
    assert done.codes_removed == 36 + 5 + 15 + 4
    assert await seeded.conflicts() == set()
    assert await seeded.world.broken_promises() == []
