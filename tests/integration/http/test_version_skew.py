"""Code and schema of different versions: a request works or is refused, and none is a 500."""

import pytest

from tallystick.adapters.postgres.migrating.migration_files import shipped
from tests.http.services import Caller, running, settings
from tests.integration.conftest import NewDatabase, service_of
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import session

BODY = {"display_name": "Ada", "referred_by": "NOBODY99"}
CALLS = [
    ("GET", "/api/referral/resolve?code=ADA12345", None),
    ("GET", "/r/ADA12345", None),
    ("POST", "/api/users/upsert", BODY),
    ("GET", "/api/my-referral-link", None),
    ("GET", "/api/referral", None),
    ("POST", "/api/referral/remint", {}),
    ("GET", "/api/me", None),
    ("GET", "/api/leaderboard", None),
    ("POST", "/api/credits/grants", {"user_id": "ada", "amount": 5, "reason": "r", "event_key": "e"}),
    ("GET", "/api/credits/entries", None),
    ("POST", "/api/rewards", {"name": "A word", "cost": 5}),
    ("GET", "/api/rewards", None),
    ("POST", "/api/invites", {"max_uses": 5}),
    ("POST", "/api/invites/validate", {"code": "NOBODY99"}),
    ("POST", "/api/loyalty/manual-rewards", {"player_id": "cid", "points": 5, "reason": "r"}),
    ("POST", "/api/rating-slips", {"player_id": "cid", "game": "roulette", "average_bet": 100}),
]
PERMISSIONS = ("credits:grant", "invites:create", "loyalty:award", "rewards:offer", "slips:write")
FLAGS = ("", "legacy_fallback_enabled=on; table_as_sot=off")


async def statuses(dsn: str, *, flags: str = "") -> tuple[int, dict[str, int]]:
    """Return what readiness says, and every call."""
    async with running(settings(database_url=service_of(dsn), flags=flags), "postgres") as (anyone, _):
        caller: Caller = anyone.named("ada", *PERMISSIONS)
        delivered = await anyone.deliver({"type": "user.created", "data": {"id": "cid"}})
        answers = {path: (await caller.call(method, path, body=body)).status_code for method, path, body in CALLS}
        return (await anyone.get("/readyz")).status_code, {**answers, "webhook": delivered.status_code}


@pytest.mark.parametrize("flags", FLAGS, ids=["as is", "moving in"])
async def test_with_the_schema_of_this_version_every_call_works(new_database: NewDatabase, flags: str) -> None:
    ready, answers = await statuses(await new_database(), flags=flags)

    assert ready == 200
    assert {path: status for path, status in answers.items() if status >= 400} == {}


@pytest.mark.parametrize("flags", FLAGS, ids=["as is", "moving in"])
@pytest.mark.parametrize("kept", range(1, len(shipped())))
async def test_new_code_on_an_older_schema_is_ready_where_nothing_but_the_end_is_missing_and_never_fails(
    new_database: NewDatabase, kept: int, flags: str
) -> None:
    dsn = await new_database()
    for migration in reversed(shipped()[kept:]):
        await migrator(dsn).roll_back(migration.version)

    ready, answers = await statuses(dsn, flags=flags)

    assert ready == (503 if any(migration.kind == "before" for migration in shipped()[kept:]) else 200)
    assert {path: status for path, status in answers.items() if status >= 500 and status != 503} == {}


@pytest.mark.parametrize("flags", FLAGS, ids=["as is", "moving in"])
async def test_old_code_on_a_newer_schema_that_fulfils_its_contract_is_ready_and_every_call_works(
    new_database: NewDatabase, flags: str
) -> None:
    dsn = await new_database()
    async with session(dsn) as owner:
        await owner.execute("INSERT INTO tallystick.schema_migrations VALUES ('9999', 'words', '', now())")
        await owner.execute("ALTER TABLE tallystick.users ADD COLUMN word text NOT NULL DEFAULT 'a word'")
        await owner.execute("ALTER TABLE tallystick.referral_codes ADD COLUMN word text")
        await owner.execute("CREATE INDEX users_words ON tallystick.users (word)")

    ready, answers = await statuses(dsn, flags=flags)

    assert ready == 200
    assert {path: status for path, status in answers.items() if status >= 400} == {}


async def test_old_code_on_a_newer_schema_is_unready_and_goes_on_where_it_can(new_database: NewDatabase) -> None:
    dsn = await new_database()
    async with session(dsn) as owner:
        await owner.execute("INSERT INTO tallystick.schema_migrations VALUES ('9999', 'words', '', now())")
        await owner.execute("ALTER TABLE tallystick.users ADD COLUMN word text NOT NULL DEFAULT 'a word'")
        await owner.execute("ALTER TABLE tallystick.referral_codes ADD COLUMN word text")
        await owner.execute("ALTER TABLE tallystick.ledger_accounts DROP COLUMN updated_at")
        await owner.execute("DROP TABLE tallystick.rewards CASCADE")

    ready, answers = await statuses(dsn)

    assert ready == 503
    assert {path: status for path, status in answers.items() if status >= 500 and status != 503} == {}
    assert answers["/api/rewards"] == 503
    assert {answers[path] for path in ("/api/my-referral-link", "/api/referral/remint", "/api/me")} == {200}
