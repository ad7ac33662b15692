"""Sessions of a backfill: past a pooler, with the rights of the service or, for a rollback, of the schema's owner."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Literal, cast

import asyncpg

from tallystick.adapters.postgres.advisory_locks import Connection, session_lock
from tallystick.adapters.postgres.backfill import removals, runs
from tallystick.adapters.postgres.backfill.checks import PostgresImportChecks
from tallystick.adapters.postgres.backfill.imports import PostgresImports
from tallystick.adapters.postgres.backfill.removals import PostgresRemovals
from tallystick.adapters.postgres.backfill.runs import PostgresBackfillChunks, PostgresBackfillRuns
from tallystick.adapters.postgres.backfill.staged_lines import PostgresStagedLines
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.database import Connection as PooledConnection
from tallystick.adapters.postgres.errors import cause_of
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.transactions import stores_on
from tallystick.application.backfill_ports import (
    BackfillDatabase,
    BackfillSession,
    BackfillStores,
    RemovalSession,
    RunnerBusy,
)
from tallystick.application.transactions import TransactionAborted, WriteConflict

_LOCK = 0x7461_6C6C_7962_6B66
WAIT_SECONDS = 5.0
"""The server notices the end of a killed runner a little later."""
_STAGED = ("legacy_users", "legacy_codes")
_SERVED = (
    *("users", "referral_codes", "referral_edges", "ledger_accounts", "ledger_entries"),
    *("phone_verifications", "code_conflicts", "clicked_codes"),
)
_WRITING = (
    "SET lock_timeout = '10s'",
    # The tables grow by millions of rows before their statistics follow: every look-up is by an index.
    "SET enable_seqscan = off",
)


class PostgresBackfillDatabase(BackfillDatabase):
    """Connects to a database as its owner, who may also be the service."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn

    @asynccontextmanager
    async def session(self) -> AsyncIterator["ServiceSession"]:
        async with service_session(self._dsn) as connection:
            yield ServiceSession(connection)

    @asynccontextmanager
    async def chunk_session(self) -> AsyncIterator["ServiceSession"]:
        async with service_session(self._dsn) as connection:
            await connection.execute("; ".join(_WRITING))
            yield ServiceSession(connection)

    @asynccontextmanager
    async def removal_session(self) -> AsyncIterator["OwnerSession"]:
        async with owner_session(self._dsn, name="backfill") as connection:
            yield OwnerSession(connection)

    async def refresh_statistics(self, tables: Literal["staged", "served"]) -> None:
        """Only the owner may do it; another login is warned by the server, and nothing else happens."""
        names = _STAGED if tables == "staged" else _SERVED
        async with owner_session(self._dsn, name="backfill") as connection:
            await connection.execute(f"ANALYZE {', '.join(f'tallystick.{name}' for name in names)}")

    async def discard_unused(self) -> None:
        async with (
            owner_session(self._dsn, name="backfill") as connection,
            temporary_grant(connection, grant=runs.GRANT, revoke=runs.REVOKE),
        ):
            await runs.discard_unused(_pooled(connection))


class _Session:
    """The lock that both kinds of sessions hold while they change something."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    @asynccontextmanager
    async def only_runner(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            try:
                lock = session_lock(self._connection, _LOCK, wait_seconds=WAIT_SECONDS)
                await stack.enter_async_context(lock)
            except TimeoutError:
                raise RunnerBusy from None
            yield


class ServiceSession(_Session, BackfillSession):
    """A session with no more rights than the service has."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[BackfillStores]:
        async with _translated(), self._connection.transaction():
            yield _stores_on(self._connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[BackfillStores]:
        yield _stores_on(self._connection)


class OwnerSession(_Session, RemovalSession):
    """A session of the owner, who is the service inside every transaction: the owner sees no rows."""

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[BackfillStores]:
        async with _translated(), temporary_grant(self._connection, grant=removals.GRANT, revoke=removals.REVOKE):
            yield _stores_on(self._connection)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[BackfillStores]:
        async with self._connection.transaction():
            await self._connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
            yield _stores_on(self._connection)

    async def create_indexes(self) -> None:
        await self.drop_indexes()  # an interrupted rollback may have left one that is not whole
        for name, columns in removals.INDEXES.items():
            await self._connection.execute(f"CREATE INDEX CONCURRENTLY {name} ON tallystick.{columns}")

    async def drop_indexes(self) -> None:
        for name in removals.INDEXES:
            await self._connection.execute(f"DROP INDEX CONCURRENTLY IF EXISTS tallystick.{name}")


@asynccontextmanager
async def service_session(dsn: str) -> AsyncIterator[Connection]:
    """Connect past a pooler, with no more rights than the service has."""
    async with owner_session(dsn, name="backfill") as connection:
        await connection.execute(f"SET ROLE {SERVICE_ROLE}")
        await connection.execute("SET work_mem = '64MB'; SET jit = off")
        yield connection


def _stores_on(connection: Connection) -> BackfillStores:
    pooled = _pooled(connection)
    return BackfillStores(
        runs=PostgresBackfillRuns(pooled),
        chunks=PostgresBackfillChunks(pooled),
        staged=PostgresStagedLines(pooled),
        imports=PostgresImports(pooled),
        removals=PostgresRemovals(pooled),
        checks=PostgresImportChecks(pooled),
        served=stores_on(pooled),
    )


def _pooled(connection: Connection) -> PooledConnection:
    """Return a connection of its own as stores take one; it does all that one of a pool does."""
    return cast("PooledConnection", connection)


@asynccontextmanager
async def _translated() -> AsyncIterator[None]:
    """Turn the errors after which the same transaction may succeed into the application's; others stay as they are."""
    try:
        yield
    except asyncpg.UniqueViolationError as error:
        if error.constraint_name == "backfill_chunks_pkey":
            raise RunnerBusy from None
        raise WriteConflict(error.args[0], cause=cause_of(error), sqlstate=error.sqlstate) from error
    except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError, asyncpg.SerializationError) as error:
        raise TransactionAborted(error.args[0], cause=cause_of(error), sqlstate=error.sqlstate) from error
