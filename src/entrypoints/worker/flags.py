"""Flags are read again at each signal, and by polling in case a signal was missed."""

import asyncio
import contextlib

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.flags import FollowedFlags
from tallystick.application.ports import ChangeSignal

POLL_SECONDS = 2.0
"""Every instance has new flags within 5 s, also one that a signal does not reach."""


class FollowFlags:
    """Keeps the flags of this process equal to the stored ones."""

    def __init__(self, flags: FollowedFlags, signal: ChangeSignal, *, poll_seconds: float = POLL_SECONDS) -> None:
        self._flags, self._signal, self._poll_seconds = flags, signal, poll_seconds
        self._is_current = True
        self._read_at: float | None = None

    def age_seconds(self) -> float:
        """Return the time since the flags were last read; 0 before the first time."""
        return 0.0 if self._read_at is None else asyncio.get_running_loop().time() - self._read_at

    async def run(self) -> None:
        """Follow until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._signal.listen(), name="listen for flags")
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._poll_seconds):
                        await self._signal.wait()
                await self.refresh()

    async def refresh(self) -> None:
        """Read the flags once; where that fails, they stay as they are."""
        try:
            await self._flags.refresh()
        except Exception as error:  # noqa: BLE001  any error: neither a request nor a start must fail by it
            if self._is_current:
                logger().warning("flags cannot be read: they stay as they are known", error=error)
            self._is_current = False
        else:
            self._is_current = True
            self._read_at = asyncio.get_running_loop().time()
