"""A verification proves every import, and finds every change of earlier rows."""

from pathlib import Path

import msgspec
import pytest

from tallystick.adapters.postgres.database import Database
from tallystick.application.backfill_chunks import SourceChanged
from tallystick.application.backfill_ports import BackfillRefused
from tallystick.domain.backfill import Run, VerificationReport
from tests.integration.conftest import with_database
from tests.integration.postgres.sessions import database_name, session
from tests.worlds.moving import Moving, a_user
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

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


_EDGES = "UPDATE tallystick.referral_edges"
_CODES = "UPDATE tallystick.referral_codes"
_ENTRY = "UPDATE tallystick.ledger_entries SET amount = amount + 1, balance_after = balance_after + 1"


def broken(report: VerificationReport) -> list[str]:
    return [check.name for check in report.checks if not check.holds]


async def test_all_holds_and_the_report_is_kept(moving: Moving, run: Run) -> None:
    report = await moving.verify(run)

    assert broken(report) == []
    assert (report.holds, report.codes, report.conflicts, report.deleted, report.broken_lines) == (True, 3, 1, 0, [])
    ((kept,),) = await moving.rows("SELECT verification FROM tallystick.backfill_runs")
    assert msgspec.json.decode(kept, type=VerificationReport) == report


async def test_traffic_breaks_nothing_of_it(moving: Moving, run: Run) -> None:
    await moving.world.remint("ada")
    await moving.world.arrive("new", "OLDER111")
    await moving.world.award("ada", 100)
    await moving.world.deliver("deleted", "cyd")

    assert broken(await moving.verify(run)) == []


async def test_codes_of_users_who_were_deleted_since_are_counted_apart(moving: Moving, run: Run) -> None:
    await moving.world.deliver("deleted", "ada")

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
        (f"{_EDGES} SET inviter_id = 'cyd' WHERE invitee_id = 'ben'", ["edges_brought", "edges_planned"]),
        (f"{_EDGES} SET backfill_run = 1 WHERE invitee_id = 'guest'", ["edges_planned", "edges_unchanged"]),
        (
            f"UPDATE tallystick.ledger_accounts SET frozen_at = now(); {_ENTRY} WHERE user_id = 'ada'",
            ["points_brought"],
        ),
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
async def test_every_damage_is_found(
    damage: str, found: list[str], moving: Moving, run: Run, server: tuple[str, str]
) -> None:
    async with session(with_database(server[0], database_name(moving.dsn))) as superuser:
        await superuser.execute(f"SET session_replication_role = replica; {damage}")

    assert broken(await moving.verify(run)) == found


async def test_a_code_of_two_users_is_found(
    dsn: str, database: Database, tmp_path: Path, server: tuple[str, str]
) -> None:
    """In a database that lost its key, say while it was restored."""
    moving = Moving(dsn, tmp_path, World(PostgresBackend(database)))
    run = await moving.move_in(*LINES[:3])
    async with session(with_database(server[0], database_name(dsn))) as superuser:
        await superuser.execute("ALTER TABLE tallystick.referral_codes DROP CONSTRAINT referral_codes_pkey CASCADE")
        await superuser.execute(
            "INSERT INTO tallystick.referral_codes SELECT code, 'ben', false, created_at, created_at "
            "FROM tallystick.referral_codes WHERE code = 'OLDER111'"
        )

    assert "codes_are_unique" in broken(await moving.verify(run))


async def test_the_lines_that_lead_elsewhere_are_reported(moving: Moving, run: Run, server: tuple[str, str]) -> None:
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
