"""Looks at the invariants: bounded in time, each goes on where the last one ended."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

from tallystick.application.invariant_passes import Pass
from tallystick.application.invariant_reports import measure
from tallystick.application.invariants import PROMISES, CountedPart, Invariant
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.reads import SlowReads, run_with_retries
from tallystick.application.transactions import Transactions

PART_ROWS = 20_000
"""Some 50 ms of one processor, so that a look holds its snapshot no longer."""
SECONDS_EACH = 10.0
"""How long a look may take for one promise, pauses included: all together end before the lease."""

pause = asyncio.sleep


class LookAtPromises:
    """Count the promises part by part, beside the traffic, and set the gauges.

    Each part is counted by one statement in a read-only snapshot of its own, by one processor, and followed by a pause
    as long, unless it is the last one. Rows that belong together have the same key, so that one snapshot judges them.
    """

    def __init__(
        self, reads: SlowReads, transactions: Transactions, clock: Clock, randomness: Randomness, metrics: Metrics
    ) -> None:
        self._reads, self._transactions = reads, transactions
        self._clock, self._randomness, self._metrics = clock, randomness, metrics

    async def __call__(self, keep_lease: Callable[[], Awaitable[bool]]) -> list[Invariant] | None:
        """Return the promises as far as they are known; None where another instance took the lease."""
        began_at = self._clock.now()
        async with self._transactions.reading() as stores:
            passes = dict(await stores.passes.all())
        looked = list[Invariant]()
        for name in PROMISES:
            if not await keep_lease():
                return None
            current, part = await self._go_on(passes.get(name) or Pass(name, began_at))
            looked.append(Invariant.judged(name, current.found, has_rows=part.has_rows, is_hidden=part.is_hidden))
            self._metrics.gauge("invariant_pass_began_timestamp_seconds", current.covered_since.timestamp(), label=name)
        measure(self._metrics, looked, began_at)
        return looked

    async def _go_on(self, current: Pass) -> tuple[Pass, CountedPart]:
        """Count parts until all rows are counted, or a pause would pass the end of the time."""
        read_began_at = current.began_at
        if current.is_at_start:
            current = current.begun(self._clock.now())
        ends_at = self._clock.monotonic() + SECONDS_EACH
        is_first = True
        while True:
            began = self._clock.monotonic()
            part = await self._count(current, seconds=ends_at - began)
            if part.violations is None and not is_first:
                return current, part  # the next look has more time for it
            further = current.with_part(part)
            if not await self._is_stored(further, instead_of=read_began_at):
                return Pass(current.promise, current.began_at), part  # a repair reset it
            current, is_first = further, False
            took = self._clock.monotonic() - began
            if part.up_to is None or self._clock.monotonic() + took >= ends_at:
                return current, part
            await pause(took)

    async def _count(self, current: Pass, *, seconds: float) -> CountedPart:
        return await self._reads(
            lambda stores: stores.invariants.part(current.promise, after=current.after, rows=PART_ROWS, seconds=seconds)
        )

    async def _is_stored(self, current: Pass, *, instead_of: datetime) -> bool:
        async def store() -> bool:
            async with self._transactions.begin() as stores:
                return await stores.passes.put(current, instead_of=instead_of)

        return await run_with_retries(store, self._randomness)
