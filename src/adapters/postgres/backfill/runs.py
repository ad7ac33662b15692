"""Runs of a backfill and their committed chunks."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg
import msgspec

from tallystick.adapters.postgres.database import SERVICE_ROLE, Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.backfill_ports import BackfillChunks, BackfillRuns, MalformedLines
from tallystick.domain.backfill import LISTED, LineFaults, Phase, Plan, Run, RunState, Tally, VerificationReport
from tallystick.domain.legacy_sources import MalformedLine

_SQL = Statements.load("backfill_runs")

_TABLES = "tallystick.legacy_users, tallystick.legacy_codes, tallystick.backfill_malformed, tallystick.backfill_runs"
GRANT = f"GRANT DELETE ON {_TABLES} TO {SERVICE_ROLE}"
REVOKE = f"REVOKE DELETE ON {_TABLES} FROM {SERVICE_ROLE}"


class PostgresBackfillRuns(BackfillRuns):
    """Rows of `backfill_runs` and `backfill_malformed`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def starting_with(self, plan_hash: str) -> list[Run]:
        return [_run(row) for row in await self._connection.fetch(_SQL.find, plan_hash)]

    async def all(self) -> list[Run]:
        return [_run(row) for row in await self._connection.fetch(_SQL.all)]

    async def unfinished(self) -> Run | None:
        row = await self._connection.fetchrow(_SQL.unfinished)
        return _run(row) if row is not None else None

    async def later(self, run: Run) -> Run | None:
        row = await self._connection.fetchrow(_SQL.later, run.run)
        return _run(row) if row is not None else None

    async def rolled_back(self) -> int:
        return int(await self._connection.fetchval(_SQL.rolled_back))

    async def lock_state(self, run: Run) -> RunState:
        state: RunState = await self._connection.fetchval(_SQL.lock_state, run.run)
        return state

    async def change_state(self, run: Run, state: RunState, at: datetime) -> None:
        await self._connection.execute(_SQL.change_state, run.run, state, at)

    async def malformed(self, run: Run) -> MalformedLines:
        if not run.plan.malformed:
            return MalformedLines([], [])
        rows = await self._connection.fetch(_SQL.malformed, run.run, LISTED)
        faults = await self._connection.fetch(_SQL.faults, run.run)
        return MalformedLines([MalformedLine(row["line"], row["reason"]) for row in rows], faults_of(faults))

    async def record_verification(self, run: Run, report: VerificationReport) -> None:
        await self._connection.execute(_SQL.verified, run.run, msgspec.json.encode(report).decode())


class PostgresBackfillChunks(BackfillChunks):
    """Rows of `backfill_chunks`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def done(self, run: Run, phase: Phase) -> dict[int, Tally]:
        rows = await self._connection.fetch(_SQL.chunks, run.run, phase)
        return {row["chunk"]: msgspec.json.decode(row["tally"], type=Tally) for row in rows}

    async def record(self, run: Run, phase: Phase, number: int, tally: Tally, at: datetime) -> None:
        encoded = msgspec.json.encode(tally).decode()
        await self._connection.execute(_SQL.commit, run.run, phase, number, encoded, at)


async def discard_unused(connection: Connection) -> None:
    """Drop the plans that were never applied and all that was staged for them, with the rights that GRANT grants."""
    runs = [row["run"] for row in await connection.fetch(_SQL.unused)]
    await drop_staged(connection, runs)
    await connection.execute(_SQL.drop_malformed, runs)
    await connection.execute(_SQL.drop_runs, runs)


async def drop_staged(connection: Connection, runs: Sequence[int]) -> None:
    """Drop the staged users and codes of runs, where the owner has granted the right to."""
    await connection.execute(_SQL.drop_users, runs)
    await connection.execute(_SQL.drop_codes, runs)


def faults_of(rows: Sequence[asyncpg.Record]) -> list[LineFaults]:
    """Return the faults that rows of `faults` hold."""
    return [LineFaults(row["reason"], row["lines"], row["first_lines"]) for row in rows]


def _run(row: asyncpg.Record) -> Run:
    plan = msgspec.json.decode(row["plan"], type=Plan)
    return Run(
        row["run"], row["plan_hash"], row["state"], plan, row["planned_at"], row["started_at"], row["finished_at"]
    )
