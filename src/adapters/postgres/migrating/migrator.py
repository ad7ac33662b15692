"""The migrator: applies missing migrations, one migrator at a time."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from tallystick.adapters.postgres.advisory_locks import session_lock
from tallystick.adapters.postgres.connecting import Unreachable, connect
from tallystick.adapters.postgres.migrating.history import History, compare_history
from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped, split
from tallystick.adapters.postgres.migrating.plan import Step, TableSize, plan
from tallystick.adapters.postgres.migrating.polite_locks import LocksHeld, PoliteLocks

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

LOCK_ID = 0x74616C6C79  # "tally"

MIGRATIONS_TABLE = """
CREATE SCHEMA IF NOT EXISTS tallystick;
CREATE TABLE IF NOT EXISTS tallystick.schema_migrations (
    version text NOT NULL,
    name text NOT NULL,
    checksum text NOT NULL,
    applied_at timestamptz NOT NULL,
    CONSTRAINT schema_migrations_pkey PRIMARY KEY (version)
);
"""


class MigrationRefused(Exception):
    """The migrations of the database do not match this version, or cannot be applied by this login."""


class Pending(msgspec.Struct, frozen=True):
    """Migrations that did not run yet."""

    due: list[Migration]
    """Those that run at a start and by `migrate`: servers of the previous version go on."""
    waiting: list[Migration]
    """Those that run by `migrate --after`, once no server of the previous version is left."""


class Migrator:
    """Runs migrations as the owner, on a separate connection."""

    def __init__(
        self,
        dsn: str,
        *,
        now: Callable[[], datetime],
        migrations: Sequence[Migration] | None = None,
        wait_seconds: float = 120.0,
        locks: PoliteLocks | None = None,
    ) -> None:
        self._dsn = dsn
        self._now = now
        self._migrations = list(migrations) if migrations is not None else shipped()
        self._wait_seconds = wait_seconds
        self._locks = locks or PoliteLocks()

    async def pending(self) -> Pending:
        """Return the migrations that did not run; MigrationRefused as in `apply`."""
        async with self._connected() as connection:
            return self._pending(await _applied(connection))

    async def plan(self) -> list[Step]:
        """Return the steps that did not run, with the sizes of their tables; MigrationRefused as in `apply`."""
        async with self._connected() as connection:
            pending = self._pending(await _applied(connection))
            steps = [migration for migration in self._migrations if migration in (*pending.due, *pending.waiting)]
            return plan(steps, await _sizes(connection))

    async def may_migrate(self) -> bool:
        """Return whether the login owns the schema, or may create it; MigrationRefused where it cannot connect."""
        async with self._connected() as connection:
            return await _may_migrate(connection)

    async def apply(self, *, with_waiting: bool = False) -> list[Migration]:
        """Run the migrations that are due, or those that wait as well, and return them.

        MigrationRefused where a migration was changed after it ran, where one is missing although newer ones ran,
        where the login may not migrate, where another migrator holds the lock for too long, or where a table stays
        locked. Where no migration is to run, the login need not be allowed to migrate.
        """
        async with self._connected() as connection:
            if not self._to_run(await _applied(connection), with_waiting):
                return []
            if not await _may_migrate(connection):
                raise MigrationRefused(
                    "migrations are pending, and this login may not apply them: set DATABASE_DIRECT_URL to the owner "
                    "of the schema, and run 'tallystick migrate'"
                )
            async with self._locked(connection):
                await connection.execute(MIGRATIONS_TABLE)
                migrations = self._to_run(await _applied(connection), with_waiting)
                try:
                    for migration in migrations:
                        await self._run(connection, migration)
                except LocksHeld as error:
                    raise MigrationRefused(str(error)) from error
                return migrations

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
            for statement in split(migration.down):
                await connection.execute(statement)
            await connection.execute(forget, version)

    def _to_run(self, applied: dict[str, str], with_waiting: bool) -> list[Migration]:
        pending = self._pending(applied)
        chosen = [*pending.due, *(pending.waiting if with_waiting else ())]
        return [migration for migration in self._migrations if migration in chosen]

    def _pending(self, applied: dict[str, str]) -> Pending:
        history = compare_history(applied, self._migrations)
        _refuse_another(history)
        return Pending(
            due=[migration for migration in self._migrations if migration.version in history.missing],
            # A newer version runs those itself, and its schema is another one.
            waiting=[m for m in self._migrations if m.version in history.waiting and not history.newer],
        )

    async def _run(self, connection: Connection, migration: Migration) -> None:
        record = (
            "INSERT INTO tallystick.schema_migrations (version, name, checksum, applied_at) VALUES ($1, $2, $3, $4)"
        )
        row = (migration.version, migration.name, migration.checksum, self._now())
        if migration.in_transaction:

            async def run_and_record() -> None:
                await connection.execute(migration.up)
                await connection.execute(record, *row)

            await self._locks.in_transaction(connection, migration, run_and_record)
            return
        for statement in split(migration.up):
            await self._locks.statement(connection, migration, statement)
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


def _refuse_another(history: History) -> None:
    """Refuse a database whose migrations are neither those of this version nor of a newer one."""
    if history.changed:
        raise MigrationRefused(f"migration {history.changed[0]} was changed after it ran")
    # A newer version applied its migrations to another schema than this version has.
    if history.unknown or (history.newer and history.missing):
        version = [*history.unknown, *history.newer][-1]
        raise MigrationRefused(f"the database has migration {version}, which this version does not know")


async def _applied(connection: Connection) -> dict[str, str]:
    try:
        if await connection.fetchval("SELECT to_regclass('tallystick.schema_migrations')") is None:
            return {}
        rows = await connection.fetch("SELECT version, checksum FROM tallystick.schema_migrations")
    except asyncpg.InsufficientPrivilegeError:
        return {}  # the first migration grants the service access
    return {row["version"]: row["checksum"] for row in rows}


async def _sizes(connection: Connection) -> dict[str, TableSize]:
    rows = await connection.fetch(
        "SELECT relname::text, greatest(reltuples, 0)::bigint AS row_count, pg_table_size(oid) AS size_bytes "
        "FROM pg_class WHERE relkind = 'r' AND relnamespace = to_regnamespace('tallystick')"
    )
    return {row["relname"]: TableSize(row["row_count"], row["size_bytes"]) for row in rows}


async def _may_migrate(connection: Connection) -> bool:
    """Return whether this login owns the schema, or may create it."""
    return bool(
        await connection.fetchval(
            "SELECT coalesce((SELECT pg_has_role(nspowner, 'USAGE') FROM pg_namespace WHERE nspname = 'tallystick'), "
            "has_database_privilege(current_database(), 'CREATE'))"
        )
    )
