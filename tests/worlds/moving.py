"""A team that moves in: a source in a file, and all that can be done with it."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tallystick.adapters.legacy.files import FileFormat, FileSource
from tallystick.adapters.legacy.sources import read_mapping
from tallystick.adapters.memory.ports import SeededRandomness
from tallystick.adapters.postgres.advisory_locks import Connection
from tallystick.adapters.postgres.backfill.sessions import PostgresBackfillDatabase, service_session
from tallystick.application.backfill import ApplyBackfill
from tallystick.application.backfill_chunks import check_source, find_run, tally_of
from tallystick.application.backfill_planning import PlanBackfill
from tallystick.application.backfill_ports import BackfillDatabase
from tallystick.application.backfill_rollback import RollBackBackfill
from tallystick.application.backfill_verification import VerifyBackfill
from tallystick.domain.backfill import Options, Phase, ReferredBy, Run, RunState, Tally, VerificationReport
from tallystick.domain.codes import Code, draw_candidates
from tallystick.domain.referral_points import ReferralPoints
from tallystick.entrypoints.settings.pairs import read_tiers
from tests.worlds.world import World

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
TIERS = read_tiers("bronze=0; silver=1000; gold=5000")


def a_user(user_id: str, code: object = None, *, day: int | None = 0, **fields: object) -> dict[str, object]:
    """Return the line of a user who came on a day; None for one of whom nobody knows when."""
    line: dict[str, object] = {"user_id": user_id, "code": code, **fields}
    return line if day is None else line | {"created_at": (LONG_AGO + timedelta(days=day)).isoformat()}


class Moving:
    """One database that a team moves into, chunk by chunk."""

    def __init__(self, dsn: str, folder: Path, world: World) -> None:
        self.dsn, self.folder, self.world = dsn, folder, world
        self.randomness = SeededRandomness(7)
        self.candidates: tuple[Code, ...] = ()
        """The new codes to be tried; those of chance where there are none."""

    def database(self, dsn: str | None = None) -> BackfillDatabase:
        return PostgresBackfillDatabase(dsn or self.dsn)

    def application(self, dsn: str | None = None) -> ApplyBackfill:
        return ApplyBackfill(self.database(dsn), self.world.clock, self.draw, TIERS, ReferralPoints(100))

    def draw(self) -> tuple[Code, ...]:
        return self.candidates or draw_candidates(self.randomness.bytes)

    def file(self, lines: Iterable[Mapping[str, object] | bytes], name: str = "users.jsonl") -> Path:
        """Write a source; bytes stand for themselves."""
        path = self.folder / name
        path.write_bytes(
            b"".join((line if isinstance(line, bytes) else json.dumps(line).encode()) + b"\n" for line in lines)
        )
        return path

    def source(self, path: Path, kind: FileFormat = "jsonl", names: tuple[str, ...] = ()) -> FileSource:
        return FileSource(path, kind, read_mapping(names))

    async def plan(
        self,
        *lines: Mapping[str, object] | bytes,
        chunk: int = 2,
        referred_by: ReferredBy = "auto",
        name: str = "users.jsonl",
    ) -> Run:
        source = self.source(self.file(lines, name))
        options = Options("jsonl", chunk=chunk, referred_by=referred_by)
        self.world.clock.move(timedelta(minutes=5))  # what was here before is older than the backfill
        return await PlanBackfill(self.database(), self.world.clock)(source, options, lambda _share: None)

    async def apply(self, run: Run, *, dsn: str | None = None, connections: int = 1) -> Tally:
        await check_source(run, self.source(Path(run.plan.source)), lambda _share: None)
        await self.application(dsn)(run, connections=connections, report=lambda *_: None)
        return await self.done(run)

    async def verify(self, run: Run) -> VerificationReport:
        return await VerifyBackfill(self.database(), self.world.clock)(
            run, self.source(Path(run.plan.source)), lambda _share: None
        )

    async def roll_back(self, run: Run, *, dsn: str | None = None) -> Tally:
        await RollBackBackfill(self.database(dsn), self.world.clock, self.draw)(run, report=lambda *_: None)
        return await self.done(run, "rollback")

    async def move_in(self, *lines: Mapping[str, object] | bytes, chunk: int = 2) -> Run:
        """Plan and apply."""
        run = await self.plan(*lines, chunk=chunk)
        await self.apply(run)
        return run

    async def done(self, run: Run, *phases: Phase) -> Tally:
        async with self.database().session() as session, session.reading() as stores:
            return await tally_of(stores, run, phases or None)

    async def state(self, run: Run) -> RunState:
        async with self.database().session() as session, session.reading() as stores:
            return (await find_run(stores.runs, run.plan_hash)).state

    @asynccontextmanager
    async def session(self) -> AsyncIterator[Connection]:
        """Look at the database as the service."""
        async with service_session(self.dsn) as connection:
            yield connection

    async def rows(self, query: str, *arguments: object) -> list[tuple[Any, ...]]:
        async with self.session() as connection:
            return [tuple(row.values()) for row in await connection.fetch(query, *arguments)]

    async def codes(self) -> dict[str, tuple[str, bool]]:
        """Return every code with its user, and whether it is the canonical one."""
        rows = await self.rows("SELECT code, user_id, is_canonical FROM tallystick.referral_codes")
        return {code: (user_id, is_canonical) for code, user_id, is_canonical in rows}

    async def canonical(self, user_id: str) -> str | None:
        return next((code for code, held in (await self.codes()).items() if held == (user_id, True)), None)

    async def conflicts(self) -> set[tuple[str, str, str, str]]:
        rows = await self.rows("SELECT code, user_id, kept_by, reason FROM tallystick.code_conflicts")
        return {(code, user_id, kept_by, reason) for code, user_id, kept_by, reason in rows}

    async def dump(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return all that is served, so that two states can be compared."""
        tables = ("users", "referral_codes", "referral_edges", "ledger_accounts", "ledger_entries")
        ordered = [(table, f"SELECT * FROM tallystick.{table} AS t ORDER BY t.*::text") for table in tables]
        return {table: await self.rows(query) for table, query in ordered}
