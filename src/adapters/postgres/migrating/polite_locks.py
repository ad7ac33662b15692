"""Locks of migrations: taken before anything else, waited for briefly, and tried again, so that requests go on."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

import asyncpg
import msgspec

from tallystick.adapters.postgres.migrating.migration_files import Migration, TableLock

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

ATTEMPTS = 24
"""With their pauses about a minute and a half."""
_LARGEST_PAUSE_SECONDS = 4.0
_BRIEF_MILLISECONDS = 250
"""Requests queue behind a lock that is waited for: this is how long they are delayed at most."""
_LONG_MILLISECONDS = 1200
"""Every fourth attempt is longer than deadlock_timeout, after which PostgreSQL cancels an autovacuum of the table, and
shorter than the 1.5 seconds that a request waits."""
_CONCURRENT_MILLISECONDS = 60_000
"""A statement with CONCURRENTLY holds no request up while it waits."""
_CONCURRENT_INDEX = re.compile(
    r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE
)


class LocksHeld(Exception):
    """Other sessions held a table in every attempt. A migration outside a transaction may have run in part."""


class Attempt(msgspec.Struct, frozen=True):
    """An attempt that met a lock of another session."""

    migration: str
    number: int
    of: int
    holders: tuple[int, ...]
    """Process ids of sessions that hold locks on the tables of the migration."""

    def __str__(self) -> str:
        held = f", held by session {' and '.join(map(str, self.holders))}" if self.holders else ""
        return f"{self.migration} waits for its locks{held}: attempt {self.number} of {self.of}"


class PoliteLocks:
    """Runs migrations, and again where a lock was not granted in time (55P03) or after a deadlock (40P01)."""

    def __init__(
        self,
        *,
        attempts: int = ATTEMPTS,
        pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
        report: Callable[[Attempt], object] = lambda _: None,
    ) -> None:
        self._attempts, self._pause, self._report = attempts, pause, report

    async def in_transaction(
        self, connection: Connection, migration: Migration, run: Callable[[], Awaitable[None]]
    ) -> None:
        """Run a migration in a transaction that takes the declared locks first."""

        async def attempt(number: int) -> None:
            async with connection.transaction():
                await connection.execute(lock_statements(migration.locks, number))
                await run()

        await self._again(connection, migration, attempt)

    async def statement(self, connection: Connection, migration: Migration, statement: str) -> None:
        """Run a statement outside a transaction: several in one message would share an implicit transaction."""
        is_concurrent = re.search(r"\bCONCURRENTLY\b", statement, re.IGNORECASE) is not None

        async def attempt(number: int) -> None:
            for name in _CONCURRENT_INDEX.findall(statement):
                await _drop_invalid_index(connection, name)
            timeout = _CONCURRENT_MILLISECONDS if is_concurrent else _milliseconds(number)
            await connection.execute(f"SET lock_timeout = {timeout}")
            await connection.execute(statement)

        await self._again(connection, migration, attempt)

    async def _again(
        self, connection: Connection, migration: Migration, attempt: Callable[[int], Awaitable[None]]
    ) -> None:
        for number in range(1, self._attempts + 1):
            try:
                await attempt(number)
            except (asyncpg.LockNotAvailableError, asyncpg.DeadlockDetectedError) as error:
                failed = Attempt(migration.full_name, number, self._attempts, await _holders(connection, migration))
                self._report(failed)
                if number == self._attempts:
                    raise LocksHeld(f"{failed}; end those sessions or try again when they are done") from error
                await self._pause(min(_LARGEST_PAUSE_SECONDS, 0.25 * 2**number))
            else:
                return


def _milliseconds(attempt: int) -> int:
    return _BRIEF_MILLISECONDS if attempt % 4 else _LONG_MILLISECONDS


def lock_statements(locks: Sequence[TableLock], attempt: int) -> str:
    """Return statements that lock every table before anything is changed.

    Only the first table is waited for longer, while nothing is held: a longer wait that holds another table could make
    a request the victim of a deadlock. Each long attempt begins with another table.
    """
    first = attempt // 4 % max(len(locks), 1)
    statements = [f"SET LOCAL lock_timeout = {_milliseconds(attempt)}"]
    for lock in (*locks[first:], *locks[:first]):
        statements.append(f"LOCK TABLE tallystick.{lock.table} IN {lock.mode} MODE")
        statements.append(f"SET LOCAL lock_timeout = {_BRIEF_MILLISECONDS}")
    return "; ".join(statements)


async def _holders(connection: Connection, migration: Migration) -> tuple[int, ...]:
    rows = await connection.fetch(
        "SELECT DISTINCT pid FROM pg_locks WHERE relation = ANY($1::text[]::regclass[]) AND granted "
        "AND pid <> pg_backend_pid() ORDER BY pid LIMIT 5",
        [f"tallystick.{lock.table}" for lock in migration.locks],
    )
    return tuple(row["pid"] for row in rows)


async def _drop_invalid_index(connection: Connection, name: str) -> None:
    """Drop an invalid index, which a cancelled CREATE INDEX CONCURRENTLY left: it slows writes and no query uses it."""
    invalid = await connection.fetchval(
        "SELECT NOT indisvalid FROM pg_index WHERE indexrelid = to_regclass($1)", f"tallystick.{name}"
    )
    if invalid:
        await connection.execute(f'DROP INDEX CONCURRENTLY tallystick."{name}"')
