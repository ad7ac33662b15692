"""The locks that a migration takes on tables which exist already, as PostgreSQL lists them while it holds them."""

import re
from collections.abc import Iterable
from typing import get_args

from tallystick.adapters.postgres.migrating.migration_files import LockMode, Migration, split
from tests.integration.postgres.sessions import Session

_MODES: tuple[str, ...] = get_args(LockMode)
_HELD = """
SELECT c.relname::text AS table_name, l.mode
FROM pg_locks AS l
INNER JOIN pg_class AS c ON c.oid = l.relation AND c.relkind = 'r' AND c.relnamespace = 'tallystick'::regnamespace
WHERE l.pid = pg_backend_pid() AND l.granted AND c.relname::text = ANY($1::text[])
"""
_TABLES = "SELECT relname::text FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('tallystick')"


async def run_and_measure(owner: Session, migration: Migration) -> dict[str, str]:
    """Run a migration, and return the strongest lock that it took on each table, where that hinders other changes."""
    tables = [row["relname"] for row in await owner.fetch(_TABLES)]
    taken: dict[str, str] = {}
    for statement in [migration.up] if migration.in_transaction else split(migration.up):
        if not migration.in_transaction and "CONCURRENTLY" in statement:
            # It runs in several transactions, and its manual page names the lock.
            table = await _indexed_table(owner, statement)
            _note(taken, [(table, "SHARE UPDATE EXCLUSIVE")])
            await owner.execute(statement)
        elif not migration.in_transaction and re.match(r"(--.*\n)*(SET|RESET|DO)\b", statement):
            await owner.execute(statement)  # a block with its own transactions locks rows alone
        else:
            async with owner.transaction():
                await owner.execute(statement)
                held = await owner.fetch(_HELD, tables)
            _note(taken, [(row["table_name"], re.sub(r"(?<=[a-z])(?=[A-Z])", " ", row["mode"])) for row in held])
    return taken


async def _indexed_table(owner: Session, statement: str) -> str:
    built = re.search(r"\bON tallystick\.(\w+)", statement)
    if built is not None:
        return built[1]
    dropped = re.search(r"tallystick\.(\w+)", statement)
    assert dropped is not None, statement
    table: str | None = await owner.fetchval(
        "SELECT indrelid::regclass::text FROM pg_index WHERE indexrelid = to_regclass($1)", f"tallystick.{dropped[1]}"
    )
    assert table is not None, statement
    return table.removeprefix("tallystick.")


def _note(taken: dict[str, str], found: Iterable[tuple[str, str]]) -> None:
    for table, words in found:
        mode = words.upper().removesuffix(" LOCK")
        if mode in _MODES and (table not in taken or _MODES.index(mode) < _MODES.index(taken[table])):
            taken[table] = mode
