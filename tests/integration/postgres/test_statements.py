"""Every statement on the migrated schema, as the service's role."""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

import tallystick.adapters.postgres
from tallystick.adapters.postgres import freezing, reconciliation
from tallystick.adapters.postgres.backfill import removals as backfill_removals
from tallystick.adapters.postgres.backfill import runs as backfill_runs
from tallystick.adapters.postgres.backfill import staged_lines
from tallystick.adapters.postgres.database import Connection, Database
from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.results import Column, promised, returned
from tests.integration.postgres.sessions import session

FOLDER = Path(str(tallystick.adapters.postgres.__file__)).parent / "sql"
CAPABILITIES = sorted(path.stem for path in FOLDER.glob("*.sql"))
_HEADER = re.compile(r"^-- (\w+)\((.*)\) -> (.+)$", re.MULTILINE)


def headers(capability: str) -> dict[str, list[str]]:
    """Return the parameters that the headers of a file name, by statement."""
    text = (FOLDER / f"{capability}.sql").read_text(encoding="utf-8")
    return {name: [part for part in names.split(", ") if part] for name, names, _ in _HEADER.findall(text)}


def results(capability: str) -> dict[str, str]:
    """Return the results that the headers of a file name, by statement."""
    text = (FOLDER / f"{capability}.sql").read_text(encoding="utf-8")
    return {name: result for name, _, result in _HEADER.findall(text)}


def statements(capability: str) -> Iterator[tuple[str, str]]:
    return iter(Statements.load(capability))


@asynccontextmanager
async def staged(connection: Connection, capability: str) -> AsyncIterator[None]:
    """Make the temporary tables that a plan is ruled in, for as long as its statements are looked at."""
    transaction = connection.transaction()
    await transaction.start()
    if capability == "backfill_plan":
        await connection.execute(staged_lines.STAGING)
    yield
    await transaction.rollback()


BY_THE_OWNER = {
    "reconciliation": (reconciliation._GRANT, reconciliation._REVOKE, ["drop_duplicates", "recount"]),
    "freezing": (freezing._GRANT, freezing._REVOKE, ["freeze", "thaw"]),
    "backfill_runs": (
        backfill_runs.GRANT,
        backfill_runs.REVOKE,
        ["drop_users", "drop_codes", "drop_malformed", "drop_runs"],
    ),
    "backfill_rollback": (
        backfill_removals.GRANT,
        backfill_removals.REVOKE,
        [
            "uncredit",
            "close_accounts",
            "disconnect",
            "remove_codes",
            "unverify_phones",
            "remove_users",
            "forget_conflicts",
        ],
    ),
}
"""The rights that the owner grants the service for a while, and the statements that need them."""


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_every_statement_is_prepared_with_the_parameters_of_its_header(
    capability: str, shared_database: Database
) -> None:
    found: dict[str, int] = {}
    async with shared_database.connection() as connection, staged(connection, capability):
        for name, sql in statements(capability):
            found[name] = len((await connection.prepare(sql)).get_parameters())

    assert found == {name: len(parameters) for name, parameters in headers(capability).items()}


@pytest.mark.parametrize("capability", CAPABILITIES)
async def test_every_statement_returns_the_columns_of_its_header(capability: str, shared_database: Database) -> None:
    """Stores unpack rows by position: two columns of one type that changed places would change places in a struct."""
    found: dict[str, list[Column]] = {}
    async with shared_database.connection() as connection, staged(connection, capability):
        for name, sql in statements(capability):
            found[name] = returned((await connection.prepare(sql)).get_attributes())

    assert found == {name: promised(result, capability, found[name]) for name, result in results(capability).items()}


@pytest.mark.parametrize("capability", [name for name in CAPABILITIES if name not in BY_THE_OWNER])
async def test_every_statement_stays_within_what_the_service_may_do(capability: str, shared_database: Database) -> None:
    """PREPARE does not ask for the rights on tables; planning for EXPLAIN does, and runs nothing."""
    named = headers(capability)
    async with shared_database.connection() as connection, staged(connection, capability):
        for name, sql in statements(capability):
            assert await connection.fetch(f"EXPLAIN {sql}", *[None for _ in named[name]])


@pytest.mark.parametrize(
    ("capability", "name"),
    [
        ("ledger", "lock"),
        ("ledger", "made_by"),
        ("rewards", "purchase_context"),
        ("invites", "lock"),
        ("invites", "seats"),
        ("loyalty", "lock"),
        ("users", "deleted"),
    ],
)
async def test_a_table_that_is_known_to_be_empty_is_read_by_its_index(
    capability: str, name: str, owner_dsn: str, shared_database: Database
) -> None:
    """Connections keep their plans, and what is empty today has a hundred thousand rows before it is analysed."""
    sql, asked = getattr(Statements.load(capability), name), ["a", "b"]
    async with session(owner_dsn) as owner:
        await owner.execute("ANALYZE")
    async with shared_database.connection() as connection:
        plan = [row[0] for row in await connection.fetch(f"EXPLAIN {sql}", *[asked for _ in headers(capability)[name]])]

    assert any("Index" in line for line in plan)
    assert not any("Seq Scan" in line for line in plan)


@pytest.mark.parametrize("capability", BY_THE_OWNER)
async def test_maintenance_needs_the_rights_of_a_temporary_grant_and_keeps_none(
    capability: str, owner_dsn: str
) -> None:
    """The owner lends them to the service within one transaction; `test_row_level_security` knows the rest."""
    named, (grant, revoke, needing) = headers(capability), BY_THE_OWNER[capability]
    async with session(owner_dsn) as owner, owner.transaction():
        await owner.execute(f"SET LOCAL search_path = tallystick; {grant}; SET LOCAL ROLE tallystick_app")
        for name, sql in statements(capability):
            assert await owner.fetch(f"EXPLAIN {sql}", *[None for _ in named[name]])

        await owner.execute(f"RESET ROLE; {revoke}; SET LOCAL ROLE tallystick_app")
        for name in needing:
            refused = owner.transaction()
            await refused.start()
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await owner.fetch(f"EXPLAIN {dict(statements(capability))[name]}", *[None for _ in named[name]])
            await refused.rollback()
