"""Clicks are stored in the background: every second, and when the process ends."""

import asyncio

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.clicks import Clicks
from tallystick.application.ports import Randomness

PAUSE_SECONDS = 1.0
LAST_SECONDS = 2.0
"""How long a process that ends waits until its last clicks are stored."""


class FlushClicks:
    """Stores the clicks that this process has counted."""

    def __init__(self, clicks: Clicks, randomness: Randomness) -> None:
        self._clicks, self._randomness = clicks, randomness
        self._is_storing = True

    async def run(self) -> None:
        """Flush until cancelled, and once more afterwards, unless the cancellation interrupted a flush."""
        while True:
            try:
                await asyncio.sleep(PAUSE_SECONDS * (0.5 + self._randomness.fraction()))
            except asyncio.CancelledError:
                await self._flush_last()
                raise
            await self.flush()

    async def flush(self) -> None:
        """Flush once; where that fails, keep the clicks for the next flush, and log it once an outage."""
        try:
            await self._clicks.flush()
        except Exception as error:  # noqa: BLE001  any error: the next flush follows
            if self._is_storing:
                logger().warning("clicks have to wait", error=error)
            self._is_storing = False
        else:
            self._is_storing = True

    async def _flush_last(self) -> None:
        try:
            async with asyncio.timeout(LAST_SECONDS):
                await self.flush()
        except TimeoutError:
            logger().warning("the last clicks were not stored")
