"""Runs of a backfill: kept, found by their hash, and worked on by one runner at a time."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Literal, NamedTuple, cast

import asyncpg
import msgspec

from tallystick.adapters.postgres.advisory_locks import session_lock
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.database import Connection as PooledConnection
from tallystick.adapters.postgres.maintenance import owner_session, temporary_grant
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.backfill import LISTED, LineFaults, Phase, Plan, Run, RunState, Tally

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

_SQL = Statements.load("backfill_runs")

_LOCK = 0x7461_6C6C_7962_6B66
WAIT_SECONDS = 5.0
_SHORTEST_HASH = 8
_STAGED = ("legacy_users", "legacy_codes")
_SERVED = (
    *("users", "referral_codes", "referral_edges", "ledger_accounts", "ledger_entries"),
    *("phone_verifications", "code_conflicts", "clicked_codes"),
)
_TABLES = "tallystick.legacy_users, tallystick.legacy_codes, tallystick.backfill_malformed, tallystick.backfill_runs"
_GIVE = f"GRANT DELETE ON {_TABLES} TO {SERVICE_ROLE}"
_TAKE_BACK = f"REVOKE DELETE ON {_TABLES} FROM {SERVICE_ROLE}"


class BackfillRefused(Exception):
    """What was asked cannot be done now; the message says why, and what would be right."""


class RunnerBusy(BackfillRefused):
    """Another runner works on this database."""

    def __init__(self) -> None:
        super().__init__("another backfill runs on this database; wait for it, or stop it first")


@asynccontextmanager
async def service_session(dsn: str) -> AsyncIterator[Connection]:
    """Connect past a pooler, with no more rights than the service has."""
    async with owner_session(dsn, name="backfill") as connection:
        await connection.execute(f"SET ROLE {SERVICE_ROLE}")
        await connection.execute("SET work_mem = '64MB'; SET jit = off")
        yield connection


async def refresh_statistics(dsn: str, *, of: Literal["staged", "served"]) -> None:
    """Have tables counted: a plan made by what they held long ago can take hours.

    The owner's right; whoever has not got it is warned by the server, and goes on.
    """
    tables = _STAGED if of == "staged" else _SERVED
    async with owner_session(dsn, name="backfill") as connection:
        await connection.execute(f"ANALYZE {', '.join(f'tallystick.{table}' for table in tables)}")


@asynccontextmanager
async def only_runner(connection: Connection) -> AsyncIterator[None]:
    """Be the only one who plans, applies or rolls back; RunnerBusy where somebody does.

    It is asked for again and again for a while: the server notices the end of a killed runner a little later.
    """
    async with AsyncExitStack() as stack:
        try:
            await stack.enter_async_context(session_lock(connection, _LOCK, wait_seconds=WAIT_SECONDS))
        except TimeoutError:
            raise RunnerBusy from None
        yield


def for_stores(connection: Connection) -> PooledConnection:
    """Return a connection of its own as the stores take one; it does all that one of a pool does."""
    return cast("PooledConnection", connection)


class MalformedLines(NamedTuple):
    """Lines of a source that could not be read."""

    first: list[tuple[int, str]]
    """The first lines, each with its reason."""
    faults: list[LineFaults]
    """All of them by their reason, the most frequent reason first."""


class BackfillRuns:
    """Rows of `backfill_runs` and `backfill_chunks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def find(self, plan_hash: str) -> Run:
        """Return the run with this hash, or the only one whose hash starts like this; BackfillRefused where none."""
        if len(plan_hash) < _SHORTEST_HASH:
            raise BackfillRefused(f"at least {_SHORTEST_HASH} characters of the plan's hash are needed")
        rows = await self._connection.fetch(_SQL.find, plan_hash)
        if len(rows) != 1:
            raise BackfillRefused(
                "no plan has this hash; 'tallystick backfill status' lists them" if not rows else "two plans start so"
            )
        return run_of(rows[0])

    async def all(self) -> list[Run]:
        """Return every run, the newest first."""
        return [run_of(row) for row in await self._connection.fetch(_SQL.all)]

    async def unfinished(self) -> Run | None:
        """Return the run that was begun and neither ended nor taken back."""
        row = await self._connection.fetchrow(_SQL.unfinished)
        return run_of(row) if row is not None else None

    async def turn(self, run: Run, state: RunState, at: datetime) -> None:
        """Store what a run has come to."""
        await self._connection.execute(_SQL.turn, run.run, state, at)

    async def same(self, plan_hash: str) -> Run | None:
        """Return the run with exactly this hash."""
        row = await self._connection.fetchrow(_SQL.same, plan_hash)
        return run_of(row) if row is not None else None

    async def rolled_back(self) -> int:
        """Count the runs that were taken back."""
        return int(await self._connection.fetchval(_SQL.rolled_back))

    async def later(self, run: Run) -> Run | None:
        """Return a later run that was begun and brought some of the same users."""
        row = await self._connection.fetchrow(_SQL.later, run.run)
        return run_of(row) if row is not None else None

    async def done(self, run: Run, phase: Phase) -> dict[int, Tally]:
        """Return the chunks that were committed, with what each did."""
        rows = await self._connection.fetch(_SQL.chunks, run.run, phase)
        return {row["chunk"]: msgspec.json.decode(row["tally"], type=Tally) for row in rows}

    async def commit(self, run: Run, phase: Phase, chunk: int, tally: Tally, at: datetime) -> None:
        """Store that a chunk is done, in the transaction that does it; a rival who did it breaks the key."""
        encoded = msgspec.json.encode(tally).decode()
        await self._connection.execute(_SQL.commit, run.run, phase, chunk, encoded, at)

    async def drop_staged(self, runs: Sequence[int]) -> None:
        """Drop what was staged of users and codes, where the owner has granted the right to."""
        await self._connection.execute(_SQL.drop_users, runs)
        await self._connection.execute(_SQL.drop_codes, runs)

    async def verified(self, run: Run, report: str) -> None:
        """Keep the report of a verification."""
        await self._connection.execute(_SQL.verified, run.run, report)


async def discard_unused(dsn: str) -> None:
    """Drop the plans that nobody applied, with all that was kept for them: a newer one takes their place."""
    async with (
        owner_session(dsn, name="backfill") as connection,
        temporary_grant(connection, give=_GIVE, take_back=_TAKE_BACK),
    ):
        runs = [row["run"] for row in await connection.fetch(_SQL.unused)]
        await BackfillRuns(connection).drop_staged(runs)
        await connection.execute(_SQL.drop_malformed, runs)
        await connection.execute(_SQL.drop_runs, runs)


async def malformed_lines(dsn: str, run: Run) -> MalformedLines:
    """Return the lines of a run's source that could not be read."""
    if not run.plan.malformed:
        return MalformedLines([], [])
    async with service_session(dsn) as connection:
        rows = await connection.fetch(_SQL.malformed, run.run, LISTED)
        faults = await connection.fetch(_SQL.faults, run.run)
    return MalformedLines([(row["line"], row["reason"]) for row in rows], line_faults(faults))


def line_faults(rows: Sequence[asyncpg.Record]) -> list[LineFaults]:
    """Return the faults that rows of `faults` hold."""
    return [LineFaults(row["reason"], row["lines"], row["first_lines"]) for row in rows]


def run_of(row: asyncpg.Record) -> Run:
    """Return the run that a row holds."""
    plan = msgspec.json.decode(row["plan"], type=Plan)
    return Run(
        row["run"], row["plan_hash"], row["state"], plan, row["planned_at"], row["started_at"], row["finished_at"]
    )
