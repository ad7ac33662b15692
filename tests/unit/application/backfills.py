"""A database of a backfill in memory: runs, chunks and what each chunk did, with transactions that roll back."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import deepcopy
from datetime import UTC, datetime
from typing import Literal

import msgspec

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.backfill_ports import (
    BackfillChunks,
    BackfillDatabase,
    BackfillRuns,
    BackfillStores,
    CodelessUser,
    Excuse,
    ImportChecks,
    ImportCounts,
    ImportedPoints,
    Imports,
    MalformedLines,
    Removals,
    RemovalSession,
    RunnerBusy,
    StagedCounts,
    StagedLines,
    WrittenUsers,
)
from tallystick.domain.backfill import (
    Checksum,
    Chunk,
    Contest,
    LineFaults,
    Options,
    Phase,
    Plan,
    ReferredBy,
    Run,
    RunState,
    Tally,
    VerificationReport,
    plan_hash,
)
from tallystick.domain.codes import Code
from tallystick.domain.legacy import LegacyRecord
from tallystick.domain.legacy_sources import LegacySource, MalformedLine, SourceBatch
from tallystick.domain.users import UserId

LONG_AGO = datetime(2024, 1, 1, tzinfo=UTC)
NONE = Checksum(0, "0")
SOME = Checksum(2, "77")


def a_plan(*, users: int = 6, chunk: int = 2, edges: Checksum = NONE, attempt: int = 1) -> Plan:
    """Return a plan of so many users, who all keep their code."""
    zeros = ("malformed", "deleted_there", "fields_left_out", "users_here", "deleted_here", "with_code_here", "missing")
    more = ("empty", "formless", "changed", "duplicate_codes", "duplicate_users", "reminted", "minted", "aliases")
    counts = dict.fromkeys((*zeros, *more, "held_here", "points_total"), 0)
    values: dict[str, object] = {
        **counts,
        "source": "users.jsonl",
        "source_hash": "hash",
        "options": msgspec.to_builtins(Options("jsonl", chunk=chunk)),
        "ignored_columns": [],
        "attempt": attempt,
        "lines": users,
        "users": users,
        "codes": users,
        "kept": users,
        "formless_lines": [],
        "edges_left_out": {},
        **{name: msgspec.to_builtins(NONE) for name in ("points", "claims", "edges_here", "points_here")},
        "edges": msgspec.to_builtins(edges),
    }
    return msgspec.convert(values, Plan)


def a_run(state: RunState = "planned", *, number: int = 1, plan: Plan | None = None) -> Run:
    plan = plan or a_plan(attempt=number)
    return Run(number, plan_hash(plan), state, plan, LONG_AGO, None, None)


class FakeSource(LegacySource):
    """A source of records and malformed lines."""

    def __init__(self, *records: LegacyRecord, malformed: int = 0, fingerprint: str = "hash") -> None:
        self._batch = SourceBatch(list(records), [MalformedLine(1, "no JSON object")] * malformed, 1.0)
        self._fingerprint = fingerprint

    @property
    def name(self) -> str:
        return "users.jsonl"

    @property
    def ignored(self) -> list[str]:
        return []

    @property
    def fingerprint(self) -> str:
        return self._fingerprint

    async def batches(self) -> AsyncIterator[SourceBatch]:
        yield self._batch

    async def rehash(self) -> AsyncIterator[float]:
        yield 1.0


class Tables:
    """The tables of the database."""

    def __init__(self, *runs: Run) -> None:
        self.runs = {run.run: run for run in runs}
        self.chunks: dict[tuple[int, Phase, int], Tally] = {}
        self.reports: list[VerificationReport] = []
        self.work: list[str] = []
        """The work of chunks, in its order."""


class MemoryBackfill(
    BackfillDatabase,
    RemovalSession,
    BackfillRuns,
    BackfillChunks,
    ImportChecks,
):
    """Every port of a backfill over one set of tables."""

    def __init__(self, *runs: Run) -> None:
        self.tables = Tables(*runs)
        self.failures: list[BaseException] = []
        """Raised by the next chunks, one after the other, at their end."""
        self.failures_from = 1
        """The number of the first chunk that fails, counted from 1."""
        self.interrupt_at: int | None = None
        """The number of the chunk, counted from 1, at the end of which the command is cancelled."""
        self.command: asyncio.Task[object] | None = None
        self._recorded = 0
        self.log: list[str] = []
        """Work outside of transactions."""
        self.codeless: list[CodelessUser] = []
        self.taken: set[Code] = set()
        self.follower: Run | None = None
        self.counts = ImportCounts(
            repeated_codes=0,
            missing_codes=0,
            aliases_wanted=1,
            aliases_found=1,
            edges=NONE,
            edges_invented=0,
            points=NONE,
            edges_here=NONE,
            points_here=NONE,
        )
        self.owner_of: dict[Code, UserId] = {}
        self.excused: dict[tuple[Code, UserId], Excuse] = {}
        self.staged = MemoryStagedLines(self)
        self._is_busy = False

    @property
    def run(self) -> Run:
        """The first run."""
        return next(iter(self.tables.runs.values()))

    def assign(self, codes: Mapping[UserId, Code]) -> set[UserId]:
        """Return the users whose code is not taken."""
        return {user_id for user_id, code in codes.items() if code not in self.taken}

    # Sessions

    @asynccontextmanager
    async def session(self) -> AsyncIterator["MemoryBackfill"]:
        yield self

    chunk_session = session
    removal_session = session

    @asynccontextmanager
    async def only_runner(self) -> AsyncIterator[None]:
        if self._is_busy:
            raise RunnerBusy
        self._is_busy = True
        try:
            yield
        finally:
            self._is_busy = False

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[BackfillStores]:
        before = deepcopy(self.tables)
        try:
            async with self.reading() as stores:
                yield stores
        except BaseException:
            self.tables = before
            raise

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[BackfillStores]:
        async with MemoryTransactions().reading() as served:
            yield BackfillStores(self, self, self.staged, MemoryImports(self), MemoryRemovals(self), self, served)

    async def create_indexes(self) -> None:
        self.log.append("create indexes")

    async def drop_indexes(self) -> None:
        self.log.append("drop indexes")

    async def refresh_statistics(self, tables: Literal["staged", "served"]) -> None:
        self.log.append(f"refresh {tables}")

    async def discard_unused(self) -> None:
        self.tables.runs = {number: run for number, run in self.tables.runs.items() if run.state != "planned"}

    # Runs and chunks

    async def starting_with(self, plan_hash: str) -> list[Run]:
        return [run for run in self.tables.runs.values() if run.plan_hash.startswith(plan_hash)][:2]

    async def all(self) -> list[Run]:
        return list(self.tables.runs.values())

    async def unfinished(self) -> Run | None:
        under_way = {"applying", "rolling_back"}
        return next((run for run in self.tables.runs.values() if run.state in under_way), None)

    async def later(self, run: Run) -> Run | None:
        return self.follower

    async def rolled_back(self) -> int:
        return sum(run.state == "rolled_back" for run in self.tables.runs.values())

    async def lock_state(self, run: Run) -> RunState:
        return self.tables.runs[run.run].state

    async def change_state(self, run: Run, state: RunState, at: datetime) -> None:
        self.tables.runs[run.run] = msgspec.structs.replace(self.tables.runs[run.run], state=state)
        self.log.append(state)

    async def malformed(self, run: Run) -> MalformedLines:
        return MalformedLines([], [])

    async def record_verification(self, run: Run, report: VerificationReport) -> None:
        self.tables.reports.append(report)

    async def done(self, run: Run, phase: Phase) -> dict[int, Tally]:
        chunks = self.tables.chunks.items()
        return {number: tally for (of, its, number), tally in chunks if (of, its) == (run.run, phase)}

    async def record(self, run: Run, phase: Phase, number: int, tally: Tally, at: datetime) -> None:
        self._recorded += 1
        if self._recorded == self.interrupt_at and self.command is not None:
            self.command.cancel()
            await asyncio.Event().wait()
        if self.failures and self._recorded >= self.failures_from:
            raise self.failures.pop(0)
        if (run.run, phase, number) in self.tables.chunks:
            raise RunnerBusy
        self.tables.chunks[run.run, phase, number] = tally

    # Checks

    async def owners(self, codes: Collection[Code]) -> dict[Code, UserId]:
        return {code: user_id for code, user_id in self.owner_of.items() if code in codes}

    async def excuses(self, claims: Collection[tuple[Code, UserId]]) -> dict[tuple[Code, UserId], Excuse]:
        return {claim: excuse for claim, excuse in self.excused.items() if claim in claims}

    async def count(self, run: Run, done: Tally) -> ImportCounts:
        return self.counts


class MemoryImports(Imports):
    """Notes what each chunk writes."""

    def __init__(self, database: MemoryBackfill) -> None:
        self._database = database

    async def users(self, chunk: Chunk, at: datetime) -> WrittenUsers:
        self._database.tables.work.append(f"users {chunk.first} to {chunk.last}")
        return WrittenUsers(2, 2, is_complete=not self._database.codeless)

    async def without_code(self, chunk: Chunk) -> list[CodelessUser]:
        return self._database.codeless

    async def assign(self, run: int, codes: Mapping[UserId, Code], at: datetime) -> set[UserId]:
        return self._database.assign(codes)

    async def aliases(self, chunk: Chunk, at: datetime) -> int:
        return 3

    async def conflicts(self, chunk: Chunk, at: datetime) -> int:
        return 4

    async def edges(self, chunk: Chunk, at: datetime) -> tuple[int, list[int]]:
        self._database.tables.work.append(f"edges {chunk.first} to {chunk.last}")
        return 1, [chunk.last]

    async def points(self, chunk: Chunk) -> list[ImportedPoints]:
        return []


class MemoryRemovals(Removals):
    """Notes what each chunk removes."""

    def __init__(self, database: MemoryBackfill) -> None:
        self._database = database

    async def lock(self, chunk: Chunk) -> None:
        self._database.tables.work.append(f"lock {chunk.first} to {chunk.last}")

    async def effects(self, chunk: Chunk, correlation_id: str) -> Tally:
        self._database.tables.work.append("effects")
        return Tally(edges_removed=1)

    async def codes(self, chunk: Chunk, at: datetime) -> Tally:
        self._database.tables.work.append("codes")
        return Tally(codes_removed=2)

    async def without_canonical(self, chunk: Chunk) -> list[UserId]:
        return [user.user_id for user in self._database.codeless]

    async def assign(self, codes: Mapping[UserId, Code], at: datetime) -> set[UserId]:
        return self._database.assign(codes)

    async def users(self, chunk: Chunk) -> Tally:
        self._database.tables.work.append("users")
        return Tally(users_removed=2)

    async def plan(self, run: Run) -> None:
        self._database.log.append("forget plan")


class MemoryStagedLines(StagedLines):
    """Counts the lines, and decides nothing."""

    def __init__(self, database: MemoryBackfill) -> None:
        self._database = database
        self.records: list[LegacyRecord] = []
        self.contests: list[Contest] = []

    async def create(self) -> None:
        self.records = []

    async def add(self, records: Sequence[LegacyRecord], malformed: Sequence[MalformedLine]) -> None:
        self.records += records

    async def finish(self) -> None:
        pass

    async def faults(self) -> list[LineFaults]:
        return [LineFaults("no JSON object", 1, [1])]

    async def rank(self) -> None:
        pass

    async def merge(self) -> None:
        pass

    async def claim(self) -> None:
        pass

    async def unresolved(self, limit: int) -> tuple[list[Contest], int]:
        return self.contests[:limit], len(self.contests)

    async def decide(self, referred_by: ReferredBy) -> None:
        pass

    async def count(self, *, before: datetime) -> StagedCounts:
        users = len(self.records)
        zeros = ("users_here", "deleted_here", "with_code_here", "duplicate_codes", "duplicate_users", "reminted")
        sums = ("edges", "points", "claims", "edges_here", "points_here")
        values: dict[str, object] = {
            **dict.fromkeys((*zeros, "aliases", "held_here", "points_total"), 0),
            **{name: msgspec.to_builtins(NONE) for name in sums},
            **dict.fromkeys(("users", "codes", "kept"), users),
            "edges_left_out": {},
        }
        return msgspec.convert(values, StagedCounts)

    async def store(self, plan: Plan, at: datetime) -> Run:
        runs = self._database.tables.runs
        run = Run(max(runs, default=0) + 1, plan_hash(plan), "planned", plan, at, None, None)
        runs[run.run] = run
        return run
