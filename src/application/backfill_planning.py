"""Planning a backfill: read the source once, decide every claim, and store the decisions as a plan."""

from collections import Counter

from tallystick.application.backfill_chunks import Progress
from tallystick.application.backfill_ports import BackfillDatabase, BackfillSession, BackfillStores, StagedCounts
from tallystick.application.ports import Clock
from tallystick.domain.backfill import LISTED, Contest, LineFaults, Options, Plan, Run, complete_before, plan_hash
from tallystick.domain.legacy import CodeState, LegacyRecord
from tallystick.domain.legacy_sources import LegacySource, SourceBatch

_READING, _STEP, _DECIDED = 0.6, 0.08, 0.9
"""The shares of planning, as progress shows them: reading, each step of three, and all decisions."""


class DuplicatesUnresolved(Exception):
    """Several users claim a code, and a missing time leaves open who had it first; `contests` are the first claims."""

    def __init__(self, contests: list[Contest], total: int) -> None:
        super().__init__(f"{total} claims on codes of several users have no created_at to tell who came first")
        self.contests, self.total = contests, total


class NothingReadable(Exception):
    """No line of the source holds a user; nothing was planned. `faults` are the reasons with their lines."""

    def __init__(self, faults: list[LineFaults]) -> None:
        super().__init__("no line of the source can be read" if faults else "the source holds no line about a user")
        self.faults = faults


class _LineCounts:
    """The counts of the reading of the source."""

    def __init__(self) -> None:
        self.states: Counter[CodeState] = Counter()
        self.formless: list[int] = []
        self.absent_words: Counter[str] = Counter()
        self.lines, self.malformed, self.deleted, self.left_out = 0, 0, 0, 0

    def add(self, batch: SourceBatch) -> list[LegacyRecord]:
        """Count a batch and return the records of users who are not deleted in the source."""
        self.lines += len(batch.records) + len(batch.malformed)
        self.malformed += len(batch.malformed)
        for record in batch.records:
            self.absent_words.update(record.absent_words)
            if record.is_deleted:
                self.deleted += 1
                continue
            self.states[record.code_state] += 1
            self.left_out += record.left_out
            if record.code_state == "formless" and len(self.formless) < LISTED:
                self.formless.append(record.line)
        return [record for record in batch.records if not record.is_deleted]


class PlanBackfill:
    """Read a source and store what an import would do; nothing that is served changes."""

    def __init__(self, database: BackfillDatabase, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def __call__(self, source: LegacySource, options: Options, progress: Progress) -> Run:
        """Return the stored plan; the same one where nothing has changed since.

        SourceError, NothingReadable, DuplicatesUnresolved or RunnerBusy.
        """
        async with self._database.session() as session, session.only_runner():
            counts = await _read(session, source, progress)
            await self._database.refresh_statistics("served")
            async with session.begin() as stores:
                run = await self._decide(stores, source, options, counts, progress)
            await self._database.refresh_statistics("staged")
            progress(1.0)
            return run

    async def _decide(
        self, stores: BackfillStores, source: LegacySource, options: Options, counts: _LineCounts, progress: Progress
    ) -> Run:
        staged = stores.staged
        for number, step in enumerate((staged.rank, staged.merge, staged.claim), 1):
            await step()
            progress(_READING + _STEP * number)
        contests, total = await staged.unresolved(LISTED)
        if contests:
            raise DuplicatesUnresolved(contests, total)
        await staged.decide(options.referred_by)
        progress(_DECIDED)
        planned_at = self._clock.now()
        attempt = 1 + await stores.runs.rolled_back()
        plan = _plan(source, options, counts, await staged.count(before=complete_before(planned_at)), attempt=attempt)
        known = await stores.runs.starting_with(plan_hash(plan))
        if known:
            return known[0]
        await self._database.discard_unused()
        return await staged.store(plan, planned_at)


async def _read(session: BackfillSession, source: LegacySource, progress: Progress) -> _LineCounts:
    """Stage the lines of a source. NothingReadable where none of them can be read."""
    counts = _LineCounts()
    async with session.reading() as stores:
        await stores.staged.create()
        async for batch in source.batches():
            await stores.staged.add(counts.add(batch), batch.malformed)
            progress(batch.progress * _READING)
        await stores.staged.finish()
        if counts.malformed == counts.lines:
            raise NothingReadable(await stores.staged.faults())
    return counts


def _plan(source: LegacySource, options: Options, lines: _LineCounts, staged: StagedCounts, *, attempt: int) -> Plan:
    states = lines.states
    return Plan(
        source=source.name,
        source_hash=source.fingerprint,
        options=options,
        ignored_columns=source.ignored[:LISTED],
        attempt=attempt,
        lines=lines.lines,
        malformed=lines.malformed,
        deleted_there=lines.deleted,
        fields_left_out=lines.left_out,
        absent_words=dict(lines.absent_words),
        users=staged.users,
        users_here=staged.users_here,
        deleted_here=staged.deleted_here,
        with_code_here=staged.with_code_here,
        codes=staged.codes,
        missing=states["missing"] + states["formless"],
        empty=states["empty"],
        formless=states["formless"],
        formless_lines=lines.formless,
        changed=states["changed"],
        duplicate_codes=staged.duplicate_codes,
        duplicate_users=staged.duplicate_users,
        kept=staged.kept,
        reminted=staged.reminted,
        minted=staged.users - staged.with_code_here - staged.kept - staged.reminted,
        aliases=staged.aliases,
        held_here=staged.held_here,
        edges=staged.edges,
        edges_left_out=staged.edges_left_out,
        points=staged.points,
        points_total=staged.points_total,
        claims=staged.claims,
        edges_here=staged.edges_here,
        points_here=staged.points_here,
    )
