"""The contract as a whole: the connection, the server, the role, the login, the clock, the schema and the session."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta

import asyncpg

from tallystick.adapters.postgres.connecting import explained
from tallystick.adapters.postgres.contract.logins import login_faults, role_faults
from tallystick.adapters.postgres.contract.schema import SchemaCheck
from tallystick.adapters.postgres.database import Connection, Database
from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.system import LARGEST_CLOCK_DIFFERENCE
from tallystick.application.ports import Clock, Metrics
from tallystick.application.readiness import Fault
from tallystick.application.transactions import TransactionAborted

_SQL = Statements.load("contract")

OLDEST_VERSION = 150000
LONGEST_ROUND_TRIP_SECONDS = 1.0
"""A comparison of clocks that took longer is not used: half of its time would be its error."""


class DatabaseContract:
    """Finds the faults of a database on which the service must not serve."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        *,
        accepts_single_login: bool = False,
        migrations: Sequence[Migration] | None = None,
        metrics: Metrics | None = None,
        compared: Callable[[timedelta], None] | None = None,
    ) -> None:
        """Each look calls `compared` with the time by which the clock is ahead of the database's."""
        self._database = database
        self._clock = clock
        self._accepts_single_login = accepts_single_login
        self._schema = SchemaCheck(list(migrations) if migrations is not None else shipped())
        self._metrics = metrics
        self._compared = compared
        self._clock_faults: list[str] = []
        """Those of the last comparison that was used."""

    async def faults(self) -> list[Fault]:
        """Return the faults; none means that the service may serve."""
        return await self._checked(self._all)

    async def session_faults(self) -> list[Fault]:
        """Return the faults of a pooler that drops session settings or prepared statements."""
        return [*await self._checked(self._session), *await self._checked(self._statements)]

    async def _checked(self, check: Callable[[Connection], Awaitable[list[Fault]]]) -> list[Fault]:
        try:
            async with self._database.connection() as connection:
                return await check(connection)
        except TransactionAborted as error:
            origin = error.__cause__ or error
            reason = (
                "every connection of the pool is in use"
                if error.cause == "pool"
                else explained(origin, self._database.dsn)
            )
            return [Fault("connection", "the database cannot be reached", reason)]
        except (
            TimeoutError,
            OSError,
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
        ) as error:
            state = getattr(error, "sqlstate", None) or type(error).__name__
            reason = explained(error, self._database.dsn)
            return [Fault("connection", f"the database does not answer ({state})", reason)]

    async def _all(self, connection: Connection) -> list[Fault]:
        return [
            *await _server(connection),
            *(Fault("role", reason) for reason in await role_faults(connection)),
            *(Fault("login", reason) for reason in await self._login(connection)),
            *(Fault("clock", reason) for reason in await self._clocks(connection)),
            *await self._schema.faults(connection),
        ]

    async def _login(self, connection: Connection) -> list[str]:
        return [] if self._accepts_single_login else await login_faults(connection)

    async def _clocks(self, connection: Connection) -> list[str]:
        before, began = self._clock.now(), self._clock.monotonic()
        database_time: datetime = await connection.fetchval(_SQL.clock)
        after = self._clock.now()
        longest = timedelta(seconds=LONGEST_ROUND_TRIP_SECONDS)
        # The machine may have been suspended, or its clock been moved, between the question and the answer.
        if self._clock.monotonic() - began > LONGEST_ROUND_TRIP_SECONDS or not timedelta() <= after - before <= longest:
            return self._clock_faults
        ahead = before + (after - before) / 2 - database_time
        if self._compared is not None:
            self._compared(ahead)
        if self._metrics is not None:
            self._metrics.gauge("clock_difference_seconds", ahead.total_seconds())
        if abs(ahead) <= LARGEST_CLOCK_DIFFERENCE:
            self._clock_faults = []
            return []
        where = "ahead of" if ahead > timedelta() else "behind"
        allowed = f"{LARGEST_CLOCK_DIFFERENCE.total_seconds():.0f} s are allowed: synchronise both"
        by = f"{abs(ahead).total_seconds():.0f} s {where} the database's"
        self._clock_faults = [f"this machine's clock is {by}, {allowed}"]
        return self._clock_faults

    async def _session(self, connection: Connection) -> list[Fault]:
        wanted = self._database.session_settings
        rows = await connection.fetch(_SQL.session_settings, list(wanted))
        found = {row["name"]: row["setting"] for row in rows}
        dropped = sorted(name for name in found if found[name] != wanted[name])
        if not dropped:
            return []
        changes = ", ".join(f"{name} is {found[name] or 'empty'} and not {wanted[name]}" for name in dropped)
        return [
            Fault(
                "session",
                f"a pooler, or the login's own settings, changes what the service asks for: {changes}; give the login "
                "these values by ALTER ROLE ... SET, and restart the pooler, whose open connections keep the old ones",
            )
        ]

    async def _statements(self, connection: Connection) -> list[Fault]:
        await connection.fetchval(_SQL.clock)
        async with self._database.connection() as other, other.transaction():
            # A pooler in transaction mode gave this transaction the session that prepared the statement.
            await other.fetchval(_SQL.clock)
            await connection.fetchval(_SQL.clock)
        return []


async def _server(connection: Connection) -> list[Fault]:
    row = await connection.fetchrow(_SQL.server)
    if row is None:
        raise AssertionError("a SELECT without FROM returns a row")
    faults = []
    if row["is_replica"] or row["is_read_only"]:
        faults.append(Fault("server", "the database is read-only", blocks="writes"))
    if row["version"] < OLDEST_VERSION:
        faults.append(Fault("server", "PostgreSQL 15 or newer is needed"))
    faults += [
        Fault("server", f"{setting} is off: acknowledged work could be lost")
        for setting in ("fsync", "synchronous_commit", "full_page_writes")
        if not row[setting]
    ]
    return faults
