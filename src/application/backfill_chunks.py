"""Shared by all commands of a backfill: finding a run, checking its source, and running a chunk until it commits."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from itertools import chain

from tallystick.application.backfill_ports import BackfillRefused, BackfillRuns, BackfillSession, BackfillStores
from tallystick.application.minting import DrawCandidates
from tallystick.application.transactions import TransactionAborted
from tallystick.domain.backfill import Phase, Run, Tally
from tallystick.domain.codes import MAX_CANDIDATES, Code
from tallystick.domain.legacy_sources import LegacySource
from tallystick.domain.users import UserId

TRIES = 8
PAUSE_SECONDS = 0.05
"""The pause before the second try of a chunk; each further pause is twice as long."""

_SHORTEST_HASH = 8

Progress = Callable[[float], None]
"""Called with the share that is done, from 0 to 1."""
ReportChunk = Callable[[Phase, int, Tally], None]
"""Called for every chunk that is done, with its phase, its number of users and what it did."""


class SourceChanged(BackfillRefused):
    """The source is not the one that was planned."""

    def __init__(self) -> None:
        super().__init__("the source has changed since it was planned; plan again")


async def find_run(runs: BackfillRuns, plan_hash: str) -> Run:
    """Return the run with this hash, or the only run whose hash starts like this; BackfillRefused where none does."""
    if len(plan_hash) < _SHORTEST_HASH:
        raise BackfillRefused(f"at least {_SHORTEST_HASH} characters of the plan's hash are needed")
    found = await runs.starting_with(plan_hash)
    if len(found) == 1:
        return found[0]
    raise BackfillRefused(
        "two plans start with this hash; give more of it"
        if found
        else "no plan has this hash; 'tallystick backfill status' lists them"
    )


async def check_source(run: Run, source: LegacySource, progress: Progress) -> None:
    """Read the source again. SourceChanged where it is not the one that was planned."""
    async for share in source.rehash():
        progress(share)
    if source.fingerprint != run.plan.source_hash:
        raise SourceChanged


async def run_chunk(session: BackfillSession, work: Callable[[BackfillStores], Awaitable[Tally]]) -> Tally:
    """Run the transaction of a chunk; where other traffic was in its way, run it again, eight times in all."""
    for attempt in range(TRIES):
        try:
            async with session.begin() as stores:
                return await work(stores)
        except TransactionAborted:
            if attempt + 1 == TRIES:
                raise
        await asyncio.sleep(PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the last try returns or raises")


async def assign_codes(
    user_ids: Iterable[UserId],
    draw: DrawCandidates,
    assign: Callable[[Mapping[UserId, Code]], Awaitable[Collection[UserId]]],
) -> None:
    """Give each user a new code by a port's `assign`. BackfillRefused where every candidate of a user is taken."""
    candidates = {user_id: draw() for user_id in user_ids}
    for attempt in range(MAX_CANDIDATES):
        if not candidates:
            return
        for user_id in await assign({user_id: codes[attempt] for user_id, codes in candidates.items()}):
            del candidates[user_id]
    if candidates:
        raise BackfillRefused("every new code was taken already; run it again")


async def tally_of(stores: BackfillStores, run: Run, phases: Collection[Phase] | None = None) -> Tally:
    """Return what all committed chunks did together, of these phases or of the import."""
    done = [await stores.chunks.done(run, phase) for phase in phases or run.phases]
    return sum(chain.from_iterable(tallies.values() for tallies in done), Tally())
