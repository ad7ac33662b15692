"""Rolling a backfill back: rows that the run wrote go, rows that were used since stay."""

from tallystick.application.backfill_chunks import ReportChunk, assign_codes, find_run, run_chunk
from tallystick.application.backfill_ports import (
    BackfillDatabase,
    BackfillRefused,
    BackfillSession,
    BackfillStores,
)
from tallystick.application.minting import DrawCandidates
from tallystick.application.ports import Clock
from tallystick.domain.backfill import Run, Tally


class RollBackBackfill:
    """Remove what one run wrote, as the owner of the schema. A rollback that was interrupted goes on.

    A rollback has twice as many chunks as a phase: first points and referrals of all users, which refer to users and
    codes; then codes and users.
    """

    def __init__(self, database: BackfillDatabase, clock: Clock, draw_candidates: DrawCandidates) -> None:
        self._database, self._clock, self._draw_candidates = database, clock, draw_candidates

    async def __call__(self, run: Run, *, report: ReportChunk) -> None:
        """Remove all that can be removed; nothing where the run is rolled back already.

        RunnerBusy; BackfillRefused where nothing was applied, or a later run imported some of the same users.
        """
        async with self._database.removal_session() as session, session.only_runner():
            async with session.reading() as stores:
                run = await find_run(stores.runs, run.plan_hash)
                if run.state == "rolled_back":
                    return
                await _check(stores, run)
            await session.create_indexes()  # a login that is not the owner's fails here, and has changed nothing
            async with session.begin() as stores:
                await stores.runs.change_state(run, "rolling_back", self._clock.now())
            await self._database.refresh_statistics("served")
            await self._remove_chunks(session, run, report)
            await session.drop_indexes()
            async with session.begin() as stores:
                await stores.removals.plan(run)
                await stores.runs.change_state(run, "rolled_back", self._clock.now())

    async def _remove_chunks(self, session: BackfillSession, run: Run, report: ReportChunk) -> None:
        async with session.reading() as stores:
            done = await stores.chunks.done(run, "rollback")
        for step in range(2 * run.chunks):
            tally = done.get(step)
            if tally is None:
                tally = await self._remove_chunk(session, run, step)
            report("rollback", run.users_of(step % run.chunks), tally)

    async def _remove_chunk(self, session: BackfillSession, run: Run, step: int) -> Tally:
        is_first_pass, chunk = step < run.chunks, run.chunk(step % run.chunks)

        async def work(stores: BackfillStores) -> Tally:
            removals, at = stores.removals, self._clock.now()
            await removals.lock(chunk)
            if is_first_pass:
                tally = await removals.effects(chunk, run.correlation_id)
            else:
                tally = await removals.codes(chunk, at)
                user_ids = await removals.without_canonical(chunk)
                await assign_codes(user_ids, self._draw_candidates, lambda codes: removals.assign(codes, at))
                tally += await removals.users(chunk)
            await stores.chunks.record(run, "rollback", step, tally, self._clock.now())
            return tally

        return await run_chunk(session, work)


async def _check(stores: BackfillStores, run: Run) -> None:
    if run.state == "planned":
        raise BackfillRefused("this run is planned: there is nothing to roll back")
    later = await stores.runs.later(run)
    if later is not None:
        raise BackfillRefused(
            f"plan {later.plan_hash[:12]} imported some of the same users later; roll that one back first"
        )
