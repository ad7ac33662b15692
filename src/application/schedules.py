"""Schedules: what is done once a night, by one instance of all."""

from datetime import datetime, timedelta
from typing import Protocol

CREDIBLE = timedelta(days=1)
"""How far ahead a stored time may be; one further ahead is from a clock that was wrong."""


class Schedules(Protocol):
    """Leases by the name of what is done; time comes from whoever asks."""

    async def lease(self, name: str, *, now: datetime, until: datetime, due_at: datetime) -> bool:
        """Take the lease, unless somebody holds it or it was done since it was due.

        What nobody asked for before is due the next time. A time further ahead than is credible counts as none.
        """

    async def renew(self, name: str, *, held_until: datetime, until: datetime) -> bool:
        """Hold the lease for longer, which may be said twice; False where it ended, and somebody else took it."""

    async def done(self, name: str, *, held_until: datetime, at: datetime) -> bool:
        """Give the lease back and note that it was done; False where somebody else took it."""


def due_since(now: datetime, *, hour: int) -> datetime:
    """Return when the last night's hour struck, in the time zone of `now`."""
    struck = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return struck if struck <= now else struck - timedelta(days=1)
