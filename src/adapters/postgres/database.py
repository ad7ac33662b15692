"""The connection pool: the only code that acquires its connections, each with a deadline."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import asyncpg
import msgspec

from tallystick.adapters.postgres.connecting import Unreachable, explained
from tallystick.adapters.postgres.errors import cause_of
from tallystick.application.transactions import TransactionAborted
from tallystick.domain.refusals import Cause

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection = PoolConnectionProxy[asyncpg.Record]
    Pool = asyncpg.Pool[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = Pool = object

SERVICE_ROLE = "tallystick_app"


class PoolSettings(msgspec.Struct, frozen=True):
    """The size of the pool, and all time-outs."""

    size: int = 10
    acquire_seconds: float = 2.0
    connect_seconds: float = 5.0
    statement_seconds: float = 5.0
    lock_seconds: float = 1.5
    """Longer than the server's deadlock_timeout, which is one second by default."""
    close_seconds: float = 1.0
    """How long `close` waits for connections that are in use."""
    cache_statements: bool = True
    """False behind PgBouncer before 1.21 in transaction mode."""


def session_settings(settings: PoolSettings) -> dict[str, str]:
    """Return the settings of every session of the service: its role, planner settings and time-outs."""
    return {
        "role": SERVICE_ROLE,
        "search_path": "tallystick",
        "jit": "off",  # compiling costs more than short statements gain
        # A plan that was cached while a table was empty would scan the table when it has many rows.
        "enable_seqscan": "off",
        "statement_timeout": str(int(settings.statement_seconds * 1000)),
        "lock_timeout": str(int(settings.lock_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(int(settings.statement_seconds * 2000)),
    }


class Database:
    """A pool of connections with the service's role and its time-outs."""

    def __init__(self, dsn: str, settings: PoolSettings | None = None) -> None:
        self._dsn = dsn
        self._settings = settings or PoolSettings()
        self._pool: Pool | None = None
        self._waiting = 0

    @property
    def dsn(self) -> str:
        """The DSN, with its password: it must never be logged or shown."""
        return self._dsn

    @property
    def session_settings(self) -> dict[str, str]:
        """The settings that every session is started with."""
        return session_settings(self._settings)

    @property
    def name(self) -> str:
        """The name of the database in the DSN."""
        return urlsplit(self._dsn).path.removeprefix("/")

    @property
    def limit(self) -> int:
        """The largest number of connections."""
        return self._settings.size

    @property
    def in_use(self) -> int:
        """The number of connections that run something now."""
        return 0 if self._pool is None else self._pool.get_size() - self._pool.get_idle_size()

    @property
    def waiting(self) -> int:
        """The number of callers that wait for a connection."""
        return self._waiting

    async def open(self) -> None:
        """Prepare the pool. It connects at the first use, so that a database that is down is no error here."""
        settings = self._settings
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=settings.size,
            max_queries=1_000_000_000,  # no limit: the default would reconnect after 50,000 statements
            timeout=settings.connect_seconds,
            command_timeout=settings.statement_seconds + 1,
            statement_cache_size=1024 if settings.cache_statements else 0,
            max_cached_statement_lifetime=0,
            reset=_nothing_to_reset,
            server_settings={"application_name": "tallystick", **session_settings(settings)},
        )

    async def enter(self) -> None:
        """Make a first connection; Unreachable holds the server's reason where that fails."""
        try:
            async with self.connection():
                pass
        except TransactionAborted as error:
            reason = explained(error.__cause__ or error, self._dsn)
            raise Unreachable(f"the database cannot be reached: {reason}") from error

    async def close(self) -> None:
        """Close the connections; those that are still in use after `close_seconds` are terminated."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(self._settings.close_seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Acquire a connection for the block. Raises TransactionAborted where there is none: nothing was run."""
        if self._pool is None:
            raise RuntimeError("the database was not opened")
        self._waiting += 1
        try:
            connection = await self._pool.acquire(timeout=self._settings.acquire_seconds)
        except TimeoutError as error:
            # Every connection is in use, or the server takes too long to accept another one.
            cause: Cause = "pool" if self._pool.get_size() >= self._settings.size else "unreachable"
            raise TransactionAborted("no connection was available", cause=cause) from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            state = error.sqlstate if isinstance(error, asyncpg.PostgresError) else None
            raise TransactionAborted("no connection was available", cause=cause_of(error), sqlstate=state) from error
        finally:
            self._waiting -= 1
        try:
            yield connection
        finally:
            await _release(self._pool, connection)


def is_lost(connection: Connection) -> bool:
    """Return whether a connection is closed. The proxy of one that the pool has released raises InterfaceError."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def terminate(connection: Connection) -> None:
    """Close a connection at once, in whatever state it is."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _nothing_to_reset(_connection: object) -> None:
    """Skip the reset of asyncpg, a round trip for each use: no statement changes the state of the session."""


async def _release(pool: Pool, connection: Connection) -> None:
    try:
        await pool.release(connection, timeout=1.0)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        terminate(connection)
