"""The contract with the schema inside a transaction: no roster is stored on another schema, or while it changes."""

from collections.abc import AsyncIterator

import pytest

from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.migrating.migrator import LOCK_ID
from tallystick.application.schema_contract import ContractMissing
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.worlds.postgres import PostgresBackend
from tests.worlds.stages import Stages, slots
from tests.worlds.world import World

PATH = "/api/rank/stage-room-match"
NEWEST = shipped()[-1].version


def body(player: str, version: int) -> dict[str, object]:
    return {
        "room_id": "room",
        "roster_version": version,
        "slots": [{"role": "captain", "slot": 1, "player_id": player}],
        "rules": {"roles": {"captain": {"slots": 1}}},
    }


@pytest.fixture
async def superuser(server: tuple[str, str], dsn: str) -> AsyncIterator[Session]:
    """Return a superuser's session on the test's own database."""
    async with session(superuser_of(server, dsn)) as connection:
        yield connection


@pytest.fixture
async def ada(dsn: str) -> AsyncIterator[Caller]:
    """Return an organiser who asks the service on the test's own database."""
    async with running(settings(database_url=service_of(dsn)), "postgres") as (caller, _):
        yield caller.named("ada")


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM tallystick.schema_migrations WHERE version = '0027'",
        (
            "INSERT INTO tallystick.schema_migrations VALUES ('9999', 'later', 'checksum', now()); "
            "ALTER TABLE tallystick.roster_slots ADD COLUMN word text NOT NULL DEFAULT ''; "
            "ALTER TABLE tallystick.roster_slots ALTER COLUMN word DROP DEFAULT"
        ),
        "UPDATE tallystick.schema_migrations SET checksum = 'other' WHERE version = '0001'",
        "REVOKE SELECT ON tallystick.schema_migrations FROM tallystick_app",
        "DROP TABLE tallystick.schema_migrations",
        "ALTER TABLE tallystick.roster_slots DROP CONSTRAINT roster_slots_player_once",
        "ALTER TABLE tallystick.stage_rosters NO FORCE ROW LEVEL SECURITY",
    ],
)
async def test_no_roster_is_stored_on_another_schema(
    ada: Caller, database: Database, superuser: Session, change: str
) -> None:
    before = await ada.post(PATH, body("ada", 0))
    await superuser.execute(change)

    refused = await ada.post(PATH, body("bob", 1), key="k1")

    assert (before.status_code, before.json()["contract_version"]) == (200, NEWEST)
    assert (refused.status_code, refused.json()["code"], refused.json()["retryable"]) == (503, "CONTRACT_MISSING", True)
    assert "retry-after" in refused.headers
    roster = await Stages(World(PostgresBackend(database))).roster("room")
    assert roster is not None
    assert (roster.roster_version, roster.slots) == (1, slots("captain 1 ada"))


async def test_a_roster_is_stored_on_a_newer_schema_that_fulfils_the_contract(ada: Caller, superuser: Session) -> None:
    await superuser.execute(
        "INSERT INTO tallystick.schema_migrations VALUES ('9999', 'later', 'checksum', now()); "
        "ALTER TABLE tallystick.roster_slots ADD COLUMN word text"
    )

    answered = await ada.post(PATH, body("ada", 0))

    assert (answered.status_code, answered.json()["contract_version"]) == (200, NEWEST)


async def test_no_roster_is_stored_where_the_newest_migration_was_taken_back(dsn: str, database: Database) -> None:
    stages = Stages(World(PostgresBackend(database)))
    for migration in reversed(shipped()):
        await migrator(dsn).roll_back(migration.version)
        if migration.kind == "before":
            break

    outcomes = await stages.sync_together(stages.command("one"), stages.command("two"))

    assert [type(each) for each in outcomes] == [ContractMissing, ContractMissing]


async def test_no_roster_is_stored_while_a_migration_runs_and_a_retry_is_answered_afterwards(
    ada: Caller, superuser: Session
) -> None:
    await superuser.execute(f"SELECT pg_advisory_lock({LOCK_ID})")
    refused = await ada.post(PATH, body("ada", 0), key="k1")
    await superuser.execute(f"SELECT pg_advisory_unlock({LOCK_ID})")

    answered = await ada.post(PATH, body("ada", 0), key="k1")

    assert (refused.status_code, refused.json()["code"]) == (503, "CONTRACT_MISSING")
    assert (answered.status_code, answered.json()["roster_version"]) == (200, 1)


async def test_no_migration_begins_before_the_decision_ends(database: Database, superuser: Session) -> None:
    free = f"SELECT pg_try_advisory_lock({LOCK_ID})"
    async with World(PostgresBackend(database)).transactions.begin() as stores:
        version = await stores.contract.hold()
        is_free_during = (await superuser.fetch(free))[0][0]

    assert version == NEWEST
    assert (is_free_during, (await superuser.fetch(free))[0][0]) == (False, True)
