"""Applying a backfill: in chunks, each a transaction that leaves a row behind, so that every one happens once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from datetime import datetime

import asyncpg

from tallystick.adapters.legacy.sources import Source
from tallystick.adapters.postgres.backfill.runs import (
    BackfillRefused,
    BackfillRuns,
    Connection,
    RunnerBusy,
    for_stores,
    only_runner,
    refresh_statistics,
    service_session,
)
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.transactions import stores_on
from tallystick.application.points import Accrued, Points, credit_all
from tallystick.domain.backfill import Phase, Run, Tally
from tallystick.domain.codes import MAX_CANDIDATES, Code
from tallystick.domain.legacy import BROUGHT_POINTS
from tallystick.domain.loyalty import Earning
from tallystick.domain.users import UserId

_SQL = Statements.load("backfill_apply")

PHASES: tuple[Phase, ...] = ("codes", "edges", "points")
TRIES = 8
PAUSE_SECONDS = 0.05
_SESSION = (
    "SET lock_timeout = '10s'",
    # The tables grow by millions before anybody has counted them: every look-up is by an index.
    "SET enable_seqscan = off",
)

Draw = Callable[[], tuple[Code, ...]]
"""Draws the candidates of one mint."""
ReportChunk = Callable[[Phase, int, Tally], None]
"""Called for every chunk that is done, with its phase, its number of users and what it did."""
Write = Callable[[Connection, Run, int, int], Awaitable[Tally]]
"""Writes the users from one position to another."""


class SourceChanged(BackfillRefused):
    """The source is not what was planned."""

    def __init__(self) -> None:
        super().__init__("the source has changed since it was planned; plan again")


class BackfillApplication:
    """Writes what was planned. Killed anywhere and run again, it goes on with the chunks that are missing."""

    def __init__(self, dsn: str, now: Callable[[], datetime], draw: Draw, points: Points) -> None:
        self._dsn, self._now, self._draw, self._points = dsn, now, draw, points

    async def __call__(self, run: Run, *, connections: int, report: ReportChunk) -> None:
        """Bring in all that is missing; nothing where the run is applied already.

        RunnerBusy, or BackfillRefused where another run is under way or this one was taken back.
        """
        async with service_session(self._dsn) as keeper, only_runner(keeper):
            runs = BackfillRuns(keeper)
            run = await runs.find(run.plan_hash)
            if run.state == "applied":
                return
            unfinished = await runs.unfinished()
            if unfinished is not None and unfinished.run != run.run:
                raise BackfillRefused(
                    f"the run of plan {unfinished.plan_hash[:12]} is {unfinished.state}; finish it, or roll it back"
                )
            if run.state not in {"planned", "applying"}:
                raise BackfillRefused(f"this run is {run.state}: plan again")
            await runs.turn(run, "applying", self._now())
            await refresh_statistics(self._dsn, of="served")
            for phase, write in self._writers(run).items():
                await self._work(run, phase, write, connections=connections, report=report)
            await runs.turn(run, "applied", self._now())

    def _writers(self, run: Run) -> Mapping[Phase, Write]:
        writers: dict[Phase, Write] = {"codes": self._write_codes}
        if run.plan.edges.rows:
            writers["edges"] = self._write_edges
        if run.plan.points.rows:
            writers["points"] = self._write_points
        return writers

    async def _work(self, run: Run, phase: Phase, write: Write, *, connections: int, report: ReportChunk) -> None:
        """Let several connections take chunk after chunk; the first failure stops them all."""
        async with AsyncExitStack() as stack:
            workers = [await stack.enter_async_context(service_session(self._dsn)) for _ in range(connections)]
            done = await BackfillRuns(workers[0]).done(run, phase)
            for chunk, tally in done.items():
                report(phase, run.users_of(chunk), tally)
            missing = iter([chunk for chunk in range(run.chunks) if chunk not in done])

            async def take(connection: Connection) -> None:
                await connection.execute("; ".join(_SESSION))
                for chunk in missing:
                    tally = await self._write(connection, run, phase, chunk, write)
                    report(phase, run.users_of(chunk), tally)

            try:
                async with asyncio.TaskGroup() as group:
                    for connection in workers:
                        group.create_task(take(connection))
            except BaseExceptionGroup as failures:
                raise _first(failures) from None

    async def _write(self, connection: Connection, run: Run, phase: Phase, chunk: int, write: Write) -> Tally:
        """Write one chunk; where traffic was in the way, again. RunnerBusy where somebody else wrote it."""
        first = chunk * run.plan.options.chunk + 1
        for attempt in range(TRIES):
            try:
                async with connection.transaction():
                    state = await connection.fetchval(_SQL.open, run.run)
                    if state != "applying":
                        raise BackfillRefused(f"this run is {state} by now")
                    tally = await write(connection, run, first, first + run.plan.options.chunk - 1)
                    await BackfillRuns(connection).commit(run, phase, chunk, tally, self._now())
                    return tally
            except asyncpg.UniqueViolationError as error:
                if error.constraint_name == "backfill_chunks_pkey":
                    raise RunnerBusy from None
                if attempt + 1 == TRIES:
                    raise
            except (asyncpg.DeadlockDetectedError, asyncpg.LockNotAvailableError, asyncpg.SerializationError):
                if attempt + 1 == TRIES:
                    raise
            await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
        raise AssertionError("the last try returns or raises")

    async def _write_codes(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        """Take it that everybody is new; where somebody is not, write the chunk again with care."""
        try:
            async with connection.transaction():  # a savepoint
                users, kept = await self._write_new(connection, run, first, last)
        except asyncpg.UniqueViolationError:
            return await self._write_beside_others(connection, run, first, last)
        claims = await connection.fetchval(_SQL.claims, run.run, first, last)
        rest = Tally() if users == kept == claims else await self._complete(connection, run, first, last)
        return Tally(users=users, kept=kept) + rest

    async def _write_new(self, connection: Connection, run: Run, first: int, last: int) -> tuple[int, int]:
        at, place = self._now(), (run.run, first, last)
        users = written(await connection.execute(_SQL.admit_new, *place, at))
        await connection.execute(_SQL.verify_phones, *place, at)
        return users, written(await connection.execute(_SQL.keep_new, *place, at))

    async def _write_beside_others(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        at, place = self._now(), (run.run, first, last)
        users = written(await connection.execute(_SQL.admit, *place, at))
        await connection.execute(_SQL.lock, *place)
        await connection.execute(_SQL.verify_phones, *place, at)
        kept = written(await connection.execute(_SQL.keep, *place, at))
        return Tally(users=users, kept=kept) + await self._complete(connection, run, first, last)

    async def _complete(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        """Write what is left when users and the codes that they keep are there."""
        at, place = self._now(), (run.run, first, last)
        reminted, minted = await self._mint(connection, run, first, last, at)
        aliases = written(await connection.execute(_SQL.alias, *place, at))
        conflicts = written(await connection.execute(_SQL.note_conflicts, *place, at))
        return Tally(reminted=reminted, minted=minted, aliases=aliases, conflicts=conflicts)

    async def _mint(self, connection: Connection, run: Run, first: int, last: int, at: datetime) -> tuple[int, int]:
        """Give a code to those who have none, and return how many had lost one, and how many never had one."""
        rows = await connection.fetch(_SQL.without_code, run.run, first, last)
        candidates = {row["user_id"]: self._draw() for row in rows}
        for attempt in range(MAX_CANDIDATES):
            if not candidates:
                break
            users = list(candidates)
            codes = [candidates[user][attempt] for user in users]
            for assigned in await connection.fetch(_SQL.assign, run.run, codes, users, at):
                del candidates[assigned["user_id"]]
        if candidates:
            raise BackfillRefused("every new code was taken already; run it again")
        reminted = sum(1 for row in rows if row["has_lost_one"])
        return reminted, len(rows) - reminted

    async def _write_edges(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        wanted = await connection.fetchval(_SQL.edges_wanted, run.run, first, last)
        if not wanted:
            return Tally()
        await connection.execute(_SQL.lock_pairs, run.run, first, last)
        edges = await connection.fetchval(_SQL.connect, run.run, first, last, self._now())
        left_out = await connection.fetch(_SQL.not_connected, run.run, first, last) if edges < wanted else []
        return Tally(edges=edges, edges_left_out=[row["position"] for row in left_out])

    async def _write_points(self, connection: Connection, run: Run, first: int, last: int) -> Tally:
        """Credit what users bring as one entry each: it is never worked out again."""
        rows = await connection.fetch(_SQL.points, run.run, first, last)
        at, correlation_id = run.started_at or self._now(), run.plan_hash[:32]
        earnings = [
            Earning(UserId(row["user_id"]), row["points"], BROUGHT_POINTS, "brought along", None, correlation_id, at)
            for row in rows
        ]
        outcomes = await credit_all(stores_on(for_stores(connection)), self._points, earnings, are_on=True)
        left_out = [
            row["position"]
            for row, outcome in zip(rows, outcomes, strict=True)
            if not isinstance(outcome, Accrued) or outcome.was_there
        ]
        return Tally(points=len(rows) - len(left_out), points_left_out=left_out)


async def check_source(run: Run, source: Source, progress: Callable[[float], None]) -> None:
    """Read the source once more. SourceChanged where it is not what was planned."""
    async for share in source.rehash():
        progress(share)
    if source.fingerprint != run.plan.source_hash:
        raise SourceChanged


def written(status: str) -> int:
    """Return how many rows a statement wrote, by what the server says of it."""
    return int(status.rpartition(" ")[2])


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
