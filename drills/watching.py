"""The view of an operator while a drill runs: the reasons of readiness, and the causes of answers with 503."""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import httpx2

from drills.report import DrillResult
from drills.scripts import INVITER
from drills.testbed import Testbed, Traffic
from tests.http.services import Caller

EVERY_SECONDS = 0.5
SEEN_WITHIN_SECONDS, HEALED_WITHIN_SECONDS = 60.0, 60.0
LONGEST_PROMISED_SECONDS = 20.0
"""The longest that a request may wait: the deadline of a command, and one last attempt that meets every time-out."""
_CAUSE = re.compile(r'^tallystick_unavailable_replies_total\{cause="(\w+)"\} (\S+)$', re.MULTILINE)


class Watch:
    """Asks the servers for their readiness again and again, and reads a share link as a user does."""

    def __init__(self, testbed: Testbed, traffic: Traffic) -> None:
        self._stage, self._traffic = testbed, traffic
        self.differences = traffic.differences
        self._http = httpx2.AsyncClient(trust_env=False, timeout=30.0)
        self.reasons: dict[str, float] = {}
        """Each reason of `/readyz`, and how many seconds after the beginning it was first seen."""
        self.for_reads: set[int] = set()
        """The statuses of `/readyz?for=reads` while `/readyz` was red."""
        self.reads_at_all: set[str] = set()
        """The statuses and codes of a read, whatever `/readyz` said."""
        self.reads: set[str] = set()
        """The statuses and codes of a read while `/readyz` was red."""

    async def run(self) -> None:
        """Look until cancelled."""
        began = time.monotonic()
        while True:
            for address in self._stage.addresses():
                await self._look(address, began)
            await asyncio.sleep(EVERY_SECONDS)

    async def _look(self, address: str, began: float) -> None:
        try:
            ready = await self._http.get(f"{address}/readyz")
            for_reads = await self._http.get(f"{address}/readyz", params={"for": "reads"})
            read = await Caller(self._http).named(INVITER).get(f"{address}/api/my-referral-link")
        except httpx2.TransportError:
            return
        answered = "200" if read.is_success else f"{read.status_code} {read.json()['code']}"
        self.reads_at_all.add(answered)
        if ready.status_code == 200:
            return
        for reason in ready.json()["reasons"]:
            self.reasons.setdefault(reason, time.monotonic() - began)
        self.for_reads.add(for_reads.status_code)
        self.reads.add(answered)

    def reads_went_on(self) -> list[str]:
        """Note that every read was answered; a read that was not is a difference."""
        if self.reads_at_all != {"200"}:
            self.differences.append(f"reads were answered {', '.join(sorted(self.reads_at_all)) or 'never'}")
            return []
        return ["reads were answered"]

    async def metrics(self) -> list[str]:
        """Return the metrics of each server."""
        return [(await self._http.get(f"{address}/metrics")).text for address in self._stage.addresses()]

    async def seconds_until_gone(self, line: str) -> float:
        """Return how long it took from now until no server had this line in its metrics."""
        began = time.monotonic()
        async with asyncio.timeout(HEALED_WITHIN_SECONDS):
            while True:
                if not any(line in metrics for metrics in await self.metrics()):
                    return time.monotonic() - began
                await asyncio.sleep(EVERY_SECONDS)

    async def until_cause(self, cause: str) -> None:
        """Wait until an answer with 503 had this cause."""
        async with asyncio.timeout(SEEN_WITHIN_SECONDS):
            while True:
                if cause in await self.causes():
                    return
                await asyncio.sleep(EVERY_SECONDS)

    async def causes(self) -> dict[str, int]:
        """Return how many answers with 503 each cause had, over all servers."""
        found: dict[str, int] = {}
        for metrics in await self.metrics():
            for cause, count in _CAUSE.findall(metrics):
                found[cause] = found.get(cause, 0) + int(float(count))
        return {cause: count for cause, count in found.items() if count}

    async def shown(
        self,
        healthy_seconds: float,
        *notes: str,
        reason: str | None = None,
        causes: Sequence[str] = (),
        is_brief: bool = False,
    ) -> DrillResult:
        """Return what the drill showed; an operator has to have seen the reason, and only these causes.

        Without a reason, readiness has to have stayed green. With causes, at least one of them has to have been
        counted. Neither holds for an incident so brief that retries may hide it. No request may be lost or wait for
        too long.
        """
        traffic, counted = self._traffic, await self.causes()
        differences = self.differences
        if reason is not None and not any(reason in seen for seen in self.reasons):
            differences.append(f"/readyz never said that {reason}, but {list(self.reasons) or 'nothing'}")
        if reason is None and self.reasons and not is_brief:
            differences.append(f"/readyz turned red: {', '.join(self.reasons)}")
        if causes and not counted.keys() & set(causes) and not is_brief:
            differences.append(f"no answer with 503 had a cause of {', '.join(causes)}")
        if others := counted.keys() - set(causes):
            differences.append(f"answers with 503 had other causes: {', '.join(sorted(others))}")
        if lost := traffic.journal.seen["no answer"]:
            differences.append(f"{lost} requests got no answer")
        if traffic.journal.slowest_seconds > LONGEST_PROMISED_SECONDS:
            differences.append(f"a request took {traffic.journal.slowest_seconds:.1f} s")
        seen = [f"/readyz after {seconds:.0f} s: {found}" for found, seconds in self.reasons.items()]
        causes_seen = ", ".join(f"{cause} {count:,}" for cause, count in sorted(counted.items()))
        return traffic.shown(healthy_seconds, *seen, *([f"causes: {causes_seen}"] if counted else []), *notes)

    async def close(self) -> None:
        await self._http.aclose()


@asynccontextmanager
async def watched(testbed: Testbed, traffic: Traffic) -> AsyncIterator[Watch]:
    """Watch the servers of a testbed during the block."""
    watch = Watch(testbed, traffic)
    running = asyncio.create_task(watch.run())
    try:
        yield watch
    finally:
        running.cancel()
        (end,) = await asyncio.gather(running, return_exceptions=True)
        if not isinstance(end, asyncio.CancelledError):
            traffic.differences.append(f"nobody watched any more: {end!r}")
        await watch.close()
