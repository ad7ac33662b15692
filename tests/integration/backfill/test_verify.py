"""A verification proves what was brought in, and finds whatever is not as it was."""

import msgspec
import pytest

from adapters.postgres.backfill_apply import SourceChanged
from adapters.postgres.backfill_runs import BackfillRefused
from domain.backfill import Run, Verification
from tests.integration.conftest import with_database
from tests.integration.postgres.sessions import database_name, session
from tests.moving import Moving, a_user

LINES = [
    a_user("ada", "ADA11111", points=5),
    a_user("ada", "OLDER111", day=-3),
    a_user("ben", "ADA11111", day=9, referred_by="ada"),
    a_user("cyd", referred_by="old"),
]


@pytest.fixture
async def run(moving: Moving) -> Run:
    """A run beside users, edges and points that were here long before it."""
    code = await moving.world.mint("old")
    await moving.world.arrive("guest", code)
    await moving.world.award("old", 10)
    return await moving.move_in(*LINES)


_CODES = "UPDATE tallystick.referral_codes"
_ENTRY = "UPDATE tallystick.ledger_entries SET amount = amount + 1, balance_after = balance_after + 1"


def broken(report: Verification) -> list[str]:
    return [check.name for check in report.checks if not check.holds]


async def test_all_holds_and_the_report_is_kept(moving: Moving, run: Run) -> None:
    report = await moving.verify(run)

    assert broken(report) == []
    assert (report.holds, report.codes, report.conflicts, report.deleted, report.broken_lines) == (True, 3, 1, 0, [])
    ((kept,),) = await moving.rows("SELECT verification FROM tallystick.backfill_runs")
    assert msgspec.json.decode(kept, type=Verification) == report


async def test_traffic_breaks_nothing_of_it(moving: Moving, run: Run) -> None:
    await moving.world.remint("ada")
    await moving.world.arrive("new", "OLDER111")
    await moving.world.award("ada", 100)
    await moving.world.tell("deleted", "cyd")

    assert broken(await moving.verify(run)) == []


async def test_codes_of_who_was_deleted_since_are_counted_apart(moving: Moving, run: Run) -> None:
    await moving.world.tell("deleted", "ada")

    report = await moving.verify(run)

    assert (report.holds, report.deleted) == (True, 2)


@pytest.mark.parametrize(
    ("damage", "found"),
    [
        ("DELETE FROM tallystick.referral_codes WHERE code = 'OLDER111'", ["codes_resolve", "aliases_grew"]),
        (
            "UPDATE tallystick.referral_codes SET user_id = 'cyd' WHERE code = 'OLDER111'",
            ["codes_resolve", "aliases_grew"],
        ),
        ("DELETE FROM tallystick.code_conflicts", ["codes_resolve"]),
        ("DELETE FROM tallystick.referral_codes WHERE user_id = 'cyd'", ["codes_are_there"]),
        ("DELETE FROM tallystick.referral_edges WHERE invitee_id = 'ben'", ["edges_brought"]),
        (f"{_ENTRY} WHERE user_id = 'ada'", ["points_brought"]),
        ("DELETE FROM tallystick.ledger_entries WHERE user_id = 'ada'", ["points_brought"]),
        ("DELETE FROM tallystick.referral_edges WHERE invitee_id = 'guest'", ["edges_unchanged"]),
        (
            f"{_ENTRY} WHERE user_id = 'old'",
            ["points_unchanged"],
        ),
        (f"{_CODES} SET is_canonical = false, demoted_at = now()", ["codes_are_there"]),
    ],
)
async def test_whatever_is_damaged_is_found(
    damage: str, found: list[str], moving: Moving, run: Run, server: tuple[str, str]
) -> None:
    async with session(with_database(server[0], database_name(moving.dsn))) as superuser:
        await superuser.execute(f"SET session_replication_role = replica; {damage}")

    assert broken(await moving.verify(run)) == found


async def test_the_lines_that_lead_elsewhere_are_told(moving: Moving, run: Run, server: tuple[str, str]) -> None:
    async with session(with_database(server[0], database_name(moving.dsn))) as superuser:
        await superuser.execute("SET session_replication_role = replica; DELETE FROM tallystick.referral_codes")

    assert (await moving.verify(run)).broken_lines == [1, 2]


async def test_another_source_proves_nothing(moving: Moving, run: Run) -> None:
    moving.file(LINES[:-1])

    with pytest.raises(SourceChanged):
        await moving.verify(run)


async def test_there_is_nothing_to_verify_before_it_is_applied(moving: Moving) -> None:
    run = await moving.plan(*LINES)

    with pytest.raises(BackfillRefused, match="this run is planned"):
        await moving.verify(run)
