"""The connection pool: the one seam that acquires connections, with a deadline."""

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
    """How many connections, and how long anything may take."""

    size: int = 10
    acquire_seconds: float = 2.0
    connect_seconds: float = 5.0
    statement_seconds: float = 5.0
    lock_seconds: float = 1.5
    """Longer than it takes the server to see a deadlock, which is one second by default."""
    close_seconds: float = 1.0
    """When it ends, whoever still has a connection is not waited for any longer."""
    cache_statements: bool = True
    """Off behind PgBouncer before 1.21 in transaction mode."""


def session_settings(settings: PoolSettings) -> dict[str, str]:
    """Return what every session of the service is set to: its role, its plans and its time-outs."""
    return {
        "role": SERVICE_ROLE,
        "search_path": "tallystick",
        "jit": "off",  # short statements pay more for it than they gain
        # A plan that was made while a table was empty outlives its first thousands of rows.
        "enable_seqscan": "off",
        "statement_timeout": str(int(settings.statement_seconds * 1000)),
        "lock_timeout": str(int(settings.lock_seconds * 1000)),
        "idle_in_transaction_session_timeout": str(int(settings.statement_seconds * 2000)),
    }


class Database:
    """Connections that speak as the service's role, and for no longer than a statement may take."""

    def __init__(self, dsn: str, settings: PoolSettings | None = None) -> None:
        self._dsn = dsn
        self._settings = settings or PoolSettings()
        self._pool: Pool | None = None

    @property
    def dsn(self) -> str:
        """How it connects, with the password in it: nothing of it may be shown."""
        return self._dsn

    @property
    def session_settings(self) -> dict[str, str]:
        """What every session is asked to be set to."""
        return session_settings(self._settings)

    @property
    def name(self) -> str:
        """The database's name, as the DSN gives it."""
        return urlsplit(self._dsn).path.removeprefix("/")

    async def open(self) -> None:
        """Prepare the pool. No connection is made before it is needed: a database that is down is not an error yet."""
        settings = self._settings
        self._pool = await asyncpg.create_pool(
            self._dsn,
            min_size=0,
            max_size=settings.size,
            max_queries=1_000_000_000,  # a connection wears out by time, not by use
            timeout=settings.connect_seconds,
            command_timeout=settings.statement_seconds + 1,
            statement_cache_size=1024 if settings.cache_statements else 0,
            max_cached_statement_lifetime=0,
            reset=_nothing_to_reset,
            server_settings={"application_name": "tallystick", **session_settings(settings)},
        )

    async def enter(self) -> None:
        """Make a first connection; Unreachable says, in the server's words, why there is none."""
        try:
            async with self.connection():
                pass
        except TransactionAborted as error:
            said = explained(error.__cause__ or error, self._dsn)
            raise Unreachable(f"the database cannot be reached: {said}") from error

    async def close(self) -> None:
        """Close the connections, by force where one does not answer."""
        if self._pool is None:
            return
        try:
            async with asyncio.timeout(self._settings.close_seconds):
                await self._pool.close()
        except TimeoutError:
            self._pool.terminate()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend a connection. Raises TransactionAborted when none can be had: nothing was run."""
        if self._pool is None:
            raise RuntimeError("the database was not opened")
        try:
            connection = await self._pool.acquire(timeout=self._settings.acquire_seconds)
        except TimeoutError as error:
            # Every connection is in use, or the server takes too long to accept another one.
            cause: Cause = "pool" if self._pool.get_size() >= self._settings.size else "unreachable"
            raise TransactionAborted("no connection could be had", cause=cause) from error
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            state = error.sqlstate if isinstance(error, asyncpg.PostgresError) else None
            raise TransactionAborted("no connection could be had", cause=cause_of(error), sqlstate=state) from error
        try:
            yield connection
        finally:
            await _release(self._pool, connection)


def is_lost(connection: Connection) -> bool:
    """Tell whether a connection is gone; one that broke has left the pool already, and its proxy answers nothing."""
    try:
        return bool(connection.is_closed())
    except asyncpg.InterfaceError:
        return True


def terminate(connection: Connection) -> None:
    """Drop a connection at once, whatever state it is in."""
    with contextlib.suppress(asyncpg.InterfaceError):
        connection.terminate()


async def _nothing_to_reset(_connection: object) -> None:
    """No session state is ever set, so there is none to reset: a round trip less for each use of a connection."""


async def _release(pool: Pool, connection: Connection) -> None:
    try:
        await pool.release(connection, timeout=1.0)
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        terminate(connection)
