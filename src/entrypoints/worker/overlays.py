"""Overlays end in the background: any instance ends those whose time is over, and sleeps until the next end."""

import asyncio
import contextlib

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.overlays import SWEEP_OVERLAYS, ExpireOverlays
from tallystick.application.ports import Randomness
from tallystick.application.reads import Reads
from tallystick.application.transactions import StoreFailure
from tallystick.domain.refusals import Unavailable

LONGEST_SLEEP_SECONDS = 5.0
"""An overlay that another instance took, and that it cannot end any more, is ended here so much later at most."""
_SHORTEST_SLEEP_SECONDS = 0.01
"""While another instance ends an overlay, this one does not ask again at once."""


class SweepOverlays:
    """Ends overlays soon after their time. Reads never depend on it: they compare the end with the clock."""

    def __init__(self, expire: ExpireOverlays, reads: Reads, randomness: Randomness) -> None:
        self._expire, self._reads, self._randomness = expire, reads, randomness
        self._changed = asyncio.Event()
        self._is_ending = True

    def wake(self) -> None:
        """Look again for the nearest end: an overlay was put by this process."""
        self._changed.set()

    async def run(self) -> None:
        """Sweep until cancelled; a failure is logged once an outage."""
        while True:
            self._changed.clear()
            seconds = await self._sweep()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._changed.wait()

    async def _sweep(self) -> float:
        """End what is over, and return the seconds until the next sweep."""
        try:
            seconds = await self.sweep_once()
        except (Unavailable, StoreFailure) as error:
            if self._is_ending:
                logger().warning("overlays have to wait for their ends", error=error)
            self._is_ending = False
            return LONGEST_SLEEP_SECONDS * (0.5 + 0.5 * self._randomness.fraction())
        except Exception as error:  # noqa: BLE001  a bug must not end the loop
            logger().error("overlays were not ended", error=error)
            return LONGEST_SLEEP_SECONDS
        self._is_ending = True
        return seconds

    async def sweep_once(self) -> float:
        """End the overlays that are over, and return the seconds until the next one is, within bounds."""
        while await self._expire() == SWEEP_OVERLAYS:
            pass
        left = await self._reads(lambda stores: stores.overlays.milliseconds_to_next_end())
        seconds = left / 1000 if left is not None else LONGEST_SLEEP_SECONDS
        return min(max(seconds, _SHORTEST_SLEEP_SECONDS), LONGEST_SLEEP_SECONDS)
