"""The migrator: applies missing migrations, one migrator at a time."""

import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg

from tallystick.adapters.postgres.advisory_locks import session_lock
from tallystick.adapters.postgres.connecting import Unreachable, connect
from tallystick.adapters.postgres.migrating.history import compare_history
from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

LOCK_ID = 0x74616C6C79  # "tally"

_MIGRATIONS_TABLE = """
CREATE SCHEMA IF NOT EXISTS tallystick;
CREATE TABLE IF NOT EXISTS tallystick.schema_migrations (
    version text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
);
"""
_CONCURRENT_INDEX = re.compile(
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE
)


class MigrationRefused(Exception):
    """The migrations of the database do not match this version, or cannot be applied by this login."""


class Migrator:
    """Runs migrations as the owner, on a separate connection."""

    def __init__(
        self,
        dsn: str,
        *,
        now: Callable[[], datetime],
        migrations: Sequence[Migration] | None = None,
        wait_seconds: float = 120.0,
    ) -> None:
        self._dsn = dsn
        self._now = now
        self._migrations = list(migrations) if migrations is not None else shipped()
        self._wait_seconds = wait_seconds

    async def pending(self) -> list[Migration]:
        """Return the migrations that `apply` would run; MigrationRefused as there."""
        async with self._connected() as connection:
            return self._missing(await _applied(connection))

    async def may_migrate(self) -> bool:
        """Return whether the login owns the schema, or may create it; MigrationRefused where it cannot connect."""
        async with self._connected() as connection:
            return await _may_migrate(connection)

    async def apply(self) -> list[Migration]:
        """Run the missing migrations and return them.

        MigrationRefused where a migration was changed after it ran, where one is missing although newer ones ran,
        where the login may not migrate, or where another migrator holds the lock for too long. Where none is missing,
        the login need not be allowed to migrate.
        """
        async with self._connected() as connection:
            if not self._missing(await _applied(connection)):
                return []
            if not await _may_migrate(connection):
                raise MigrationRefused(
                    "migrations are pending, and this login may not apply them: set DATABASE_DIRECT_URL to the owner "
                    "of the schema, and run 'tallystick migrate'"
                )
            async with self._locked(connection):
                return await self._apply_missing(connection)

    async def _apply_missing(self, connection: Connection) -> list[Migration]:
        await connection.execute(_MIGRATIONS_TABLE)
        missing = self._missing(await _applied(connection))
        for migration in missing:
            await self._run(connection, migration)
        return missing

    async def roll_back(self, version: str) -> None:
        """Undo the newest migration, which must have this version."""
        async with self._connected() as connection, self._locked(connection):
            applied = await _applied(connection)
            if not applied or max(applied) != version:
                raise MigrationRefused(f"{version} is not the newest migration of this database")
            migration = next(migration for migration in self._migrations if migration.version == version)
            forget = "DELETE FROM tallystick.schema_migrations WHERE version = $1"
            if migration.down_in_transaction:
                async with connection.transaction():
                    await connection.execute(migration.down)
                    await connection.execute(forget, version)
                return
            await _one_by_one(connection, migration.down)
            await connection.execute(forget, version)

    def _missing(self, applied: dict[str, str]) -> list[Migration]:
        history = compare_history(applied, self._migrations)
        if history.changed:
            raise MigrationRefused(f"migration {history.changed[0]} was changed after it ran")
        # A newer version applied its migrations to another schema than this version has.
        if history.unknown or (history.newer and history.missing):
            version = [*history.unknown, *history.newer][-1]
            raise MigrationRefused(f"the database has migration {version}, which this version does not know")
        return [migration for migration in self._migrations if migration.version in history.missing]

    async def _run(self, connection: Connection, migration: Migration) -> None:
        record = (
            "INSERT INTO tallystick.schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)"
        )
        row = (migration.version, migration.name, migration.checksum, self._now())
        if migration.in_transaction:
            async with connection.transaction():
                await connection.execute(migration.up)
                await connection.execute(record, *row)
            return
        for name in _CONCURRENT_INDEX.findall(migration.up):
            await _drop_invalid_index(connection, name)
        await _one_by_one(connection, migration.up)
        await connection.execute(record, *row)

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[Connection]:
        try:
            connection: Connection = await connect(self._dsn, name="tallystick migrate")
        except Unreachable as error:
            raise MigrationRefused(str(error)) from None
        try:
            yield connection
        finally:
            await connection.close(timeout=5)

    @asynccontextmanager
    async def _locked(self, connection: Connection) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(session_lock(connection, LOCK_ID, wait_seconds=self._wait_seconds))
            except TimeoutError:
                raise MigrationRefused(f"another migrator has held the lock for {self._wait_seconds:.0f} s") from None
            yield


async def _applied(connection: Connection) -> dict[str, str]:
    try:
        if await connection.fetchval("SELECT to_regclass('tallystick.schema_migrations')") is None:
            return {}
        rows = await connection.fetch("SELECT version, checksum FROM tallystick.schema_migrations")
    except asyncpg.InsufficientPrivilegeError:
        return {}  # the first migration grants the service access
    return {row["version"]: row["checksum"] for row in rows}


async def _may_migrate(connection: Connection) -> bool:
    """Return whether this login owns the schema, or may create it."""
    return bool(
        await connection.fetchval(
            "SELECT coalesce((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'tallystick'), "
            "has_database_privilege(current_database(), 'CREATE'))"
        )
    )


async def _one_by_one(connection: Connection, statements: str) -> None:
    """Run statements outside a transaction: several in one message would share an implicit transaction."""
    for statement in _split(statements):
        await connection.execute(statement)


def _split(text: str) -> list[str]:
    """Split a text into statements; a semicolon between dollar quotes does not end a statement."""
    statements = [""]
    for number, part in enumerate(text.split("$$")):
        if number % 2:
            statements[-1] += f"$${part}$$"
        else:
            first, *others = part.split(";\n")
            statements[-1] += first
            statements += others
    return [statement.strip() for statement in statements if statement.strip()]


async def _drop_invalid_index(connection: Connection, name: str) -> None:
    """Drop an invalid index, which a cancelled CREATE INDEX CONCURRENTLY left: it slows writes and no query uses it."""
    invalid = await connection.fetchval(
        "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", f"tallystick.{name}"
    )
    if invalid:
        await connection.execute(f'DROP INDEX CONCURRENTLY tallystick."{name}"')
