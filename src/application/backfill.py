"""Applying a backfill: phase by phase, in chunks, each a transaction that records itself, so that each happens once."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack

from tallystick.application.backfill_chunks import ReportChunk, assign_codes, run_chunk
from tallystick.application.backfill_ports import BackfillDatabase, BackfillRefused, BackfillSession, BackfillStores
from tallystick.application.minting import DrawCandidates
from tallystick.application.points import Accrued, PointsBatch, credit_batch
from tallystick.application.ports import Clock
from tallystick.domain.backfill import Chunk, Phase, Run, Tally
from tallystick.domain.legacy import IMPORTED_POINTS
from tallystick.domain.loyalty import Earning, Tiers
from tallystick.domain.referral_points import ReferralPoints

_Write = Callable[[BackfillStores, Run, Chunk], Awaitable[Tally]]


class ApplyBackfill:
    """Write what was planned. A run that was interrupted goes on with the chunks that are missing."""

    def __init__(
        self,
        database: BackfillDatabase,
        clock: Clock,
        draw_candidates: DrawCandidates,
        tiers: Tiers,
        referrals: ReferralPoints,
    ) -> None:
        self._database, self._clock, self._draw_candidates = database, clock, draw_candidates
        self._tiers, self._referrals = tiers, referrals
        self._writers: Mapping[Phase, _Write] = {
            "codes": self._write_codes,
            "edges": self._write_edges,
            "points": self._write_points,
        }

    async def __call__(self, run: Run, *, connections: int, report: ReportChunk) -> None:
        """Write every missing chunk; none where the run is applied already.

        RunnerBusy; BackfillRefused where another run is unfinished or this one was rolled back; TransactionAborted
        where other traffic kept a chunk from being written.
        """
        async with self._database.session() as session, session.only_runner():
            async with session.begin() as stores:
                run = await _begin(stores, run, self._clock)
            if run.state == "applied":
                return
            await self._database.refresh_statistics("served")
            for phase in run.phases:
                await self._write_phase(run, phase, connections=connections, report=report)
            async with session.begin() as stores:
                await stores.runs.change_state(run, "applied", self._clock.now())

    async def _write_phase(self, run: Run, phase: Phase, *, connections: int, report: ReportChunk) -> None:
        """Let several connections write chunk after chunk; the first failure stops them all."""
        async with AsyncExitStack() as stack:
            sessions = [await stack.enter_async_context(self._database.chunk_session()) for _ in range(connections)]
            async with sessions[0].reading() as stores:
                done = await stores.chunks.done(run, phase)
            for number, tally in done.items():
                report(phase, run.users_of(number), tally)
            missing = iter([number for number in range(run.chunks) if number not in done])

            async def write_chunks(session: BackfillSession) -> None:
                for number in missing:
                    tally = await self.write_chunk(session, run, phase, number)
                    report(phase, run.users_of(number), tally)

            try:
                async with asyncio.TaskGroup() as group:
                    for session in sessions:
                        group.create_task(write_chunks(session))
            except BaseExceptionGroup as failures:
                raise _first(failures) from None

    async def write_chunk(self, session: BackfillSession, run: Run, phase: Phase, number: int) -> Tally:
        """Write one chunk. RunnerBusy where another process wrote it, BackfillRefused where the run has ended."""

        async def work(stores: BackfillStores) -> Tally:
            state = await stores.runs.lock_state(run)
            if state != "applying":
                raise BackfillRefused(f"this run is {state} by now")
            tally = await self._writers[phase](stores, run, run.chunk(number))
            await stores.chunks.record(run, phase, number, tally, self._clock.now())
            return tally

        return await run_chunk(session, work)

    async def _write_codes(self, stores: BackfillStores, run: Run, chunk: Chunk) -> Tally:
        imports, at = stores.imports, self._clock.now()
        users, kept, is_complete = await imports.users(chunk, at)
        if is_complete:
            return Tally(users=users, kept=kept)
        codeless = await imports.without_code(chunk)
        await assign_codes(
            [user.user_id for user in codeless],
            self._draw_candidates,
            lambda codes: imports.assign(run.run, codes, at),
        )
        reminted = sum(user.has_lost_one for user in codeless)
        return Tally(
            users=users,
            kept=kept,
            reminted=reminted,
            minted=len(codeless) - reminted,
            aliases=await imports.aliases(chunk, at),
            conflicts=await imports.conflicts(chunk, at),
        )

    async def _write_edges(self, stores: BackfillStores, _run: Run, chunk: Chunk) -> Tally:
        edges, left_out = await stores.imports.edges(chunk, self._clock.now())
        return Tally(edges=edges, edges_left_out=left_out)

    async def _write_points(self, stores: BackfillStores, run: Run, chunk: Chunk) -> Tally:
        """Credit the points of each user as one entry, whether or not points are switched on: they were earned."""
        imported = await stores.imports.points(chunk)
        at = run.started_at or self._clock.now()
        earnings = [
            Earning(each.user_id, each.points, IMPORTED_POINTS, "brought along", None, run.correlation_id, at)
            for each in imported
        ]
        user_ids = {each.user_id for each in imported}
        batch = await PointsBatch.lock(stores.served, user_ids, self._tiers, self._referrals, are_on=True)
        outcomes = await credit_batch(stores.served, batch, earnings)
        left_out = [
            each.position
            for each, outcome in zip(imported, outcomes, strict=True)
            if not isinstance(outcome, Accrued) or outcome.is_repeated
        ]
        return Tally(points=len(imported) - len(left_out), points_left_out=left_out)


async def _begin(stores: BackfillStores, run: Run, clock: Clock) -> Run:
    """Return the run as it is stored, in state `applying` or `applied`; BackfillRefused where it cannot be applied."""
    (run,) = await stores.runs.starting_with(run.plan_hash)
    if run.state == "applied":
        return run
    unfinished = await stores.runs.unfinished()
    if unfinished is not None and unfinished.run != run.run:
        raise BackfillRefused(
            f"the run of plan {unfinished.plan_hash[:12]} is {unfinished.state}; finish it, or roll it back"
        )
    if run.state not in {"planned", "applying"}:
        raise BackfillRefused(f"this run is {run.state}: plan again")
    await stores.runs.change_state(run, "applying", clock.now())
    return run


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    failure: BaseException = failures
    while isinstance(failure, BaseExceptionGroup):
        failure = failure.exceptions[0]
    return failure
