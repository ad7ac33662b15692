"""Migrations that a test makes up, and what the schema holds after them."""

from datetime import UTC, datetime

from tallystick.adapters.postgres.migrating.migration_files import Kind, Migration, parse
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tallystick.adapters.postgres.migrating.polite_locks import PoliteLocks
from tests.integration.postgres.sessions import Session

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def a_migration(
    version: str,
    up: str,
    down: str = "SELECT 1;",
    *,
    kind: Kind = "before",
    locks: str = "none",
    outside: str = "",
    back_outside: str = "",
) -> Migration:
    """Return a migration; `outside` and `back_outside` may say transaction:false."""
    text = (
        f"-- kind: {kind}\n-- locks: {locks}\n"
        + f"-- migrate:up {outside}".rstrip()
        + f"\n{up}\n\n-- migrate:down {back_outside}".rstrip()
        + f"\n{down}\n"
    )
    return parse(f"{version}_words.sql", text)


def a_table(version: str, name: str, *, kind: Kind = "before") -> Migration:
    """Return a migration that creates a table of one column."""
    up, down = f"CREATE TABLE tallystick.{name} (word text);", f"DROP TABLE tallystick.{name};"
    return a_migration(version, up, down, kind=kind)


def migrator(
    dsn: str,
    migrations: list[Migration] | None = None,
    *,
    wait_seconds: float = 30,
    locks: PoliteLocks | None = None,
) -> Migrator:
    return Migrator(dsn, now=lambda: NOW, migrations=migrations, wait_seconds=wait_seconds, locks=locks)


async def versions(connection: Session) -> list[str]:
    """Return the migrations that the database says ran."""
    rows = await connection.fetch("SELECT version FROM tallystick.schema_migrations ORDER BY version")
    return [row["version"] for row in rows]


async def relations(connection: Session) -> set[str]:
    """Return the tables of the schema, but for the book of migrations, and their indexes."""
    rows = await connection.fetch(
        "SELECT c.relname FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace "
        "WHERE n.nspname = 'tallystick' AND c.relname NOT LIKE 'schema_migrations%'"
    )
    return {row["relname"] for row in rows}
