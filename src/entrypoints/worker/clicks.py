"""Clicks behind traffic: stored every second, and when the process ends."""

import asyncio

from adapters.telemetry.logs import logger
from application.clicks import Clicks
from application.ports import Randomness

PAUSE_SECONDS = 1.0


class FlushClicks:
    """Stores the clicks that this process gathered."""

    def __init__(self, clicks: Clicks, randomness: Randomness) -> None:
        self._clicks, self._randomness = clicks, randomness

    async def run(self) -> None:
        """Flush until cancelled, and once more then."""
        try:
            while True:
                await asyncio.sleep(PAUSE_SECONDS * (0.5 + self._randomness.fraction()))
                await self.flush()
        finally:
            await self.flush()

    async def flush(self) -> None:
        """Flush once; where that fails, the clicks wait for the next time."""
        try:
            await self._clicks.flush()
        except Exception as error:  # noqa: BLE001  whatever it is: the next flush comes
            logger().warning("clicks have to wait", error=error)
