"""Mirrors codes in the background: users whose code changed are gathered, and written after the replies."""

import asyncio
from collections.abc import Collection

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.legacy_metadata import MirrorMetadata
from tallystick.application.ports import Metrics
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.users import UserId

MAX_USERS = 10_000
"""How many users may wait while a write is running."""


class MirrorLater:
    """Mirrors codes while the fallback is on; best effort, because reconciliation repairs what is lost."""

    def __init__(self, mirror: MirrorMetadata, flags: Flags, metrics: Metrics, *, capacity: int = MAX_USERS) -> None:
        self._mirror, self._flags, self._metrics, self._capacity = mirror, flags, metrics, capacity
        self._waiting: set[UserId] = set()
        self._writing: asyncio.Task[None] | None = None

    def __call__(self, user_ids: Collection[UserId], /) -> None:
        """Note users whose code may have changed; users beyond the bound are counted as failed."""
        if not user_ids or not self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED):
            return
        if len(self._waiting) >= self._capacity:
            self._metrics.count("metadata_mirror_write_failures", len(user_ids))
            return
        self._waiting |= set(user_ids)
        if self._writing is None or self._writing.done():
            self._writing = asyncio.create_task(self._write(), name="mirror metadata")

    async def close(self, *, grace_seconds: float) -> None:
        """Write what waits within the grace; users who are given up are counted as failed."""
        if self._writing is not None:
            await asyncio.wait([self._writing], timeout=grace_seconds)
            self._writing.cancel()
            await asyncio.gather(self._writing, return_exceptions=True)
        self._metrics.count("metadata_mirror_write_failures", len(self._waiting))
        self._waiting.clear()

    async def _write(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting, set()
            try:
                await self._mirror(taken)
            except asyncio.CancelledError:
                self._metrics.count("metadata_mirror_write_failures", len(taken))
                raise
            except Exception as error:  # noqa: BLE001  any error: the replies were sent already
                self._metrics.count("metadata_mirror_write_failures", len(taken))
                logger().warning("codes were not mirrored to the legacy metadata", error=error, users=len(taken))
