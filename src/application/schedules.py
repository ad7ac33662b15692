"""Schedules: work that one instance of all does once an hour or once a night."""

from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Protocol

MAX_LEAD = timedelta(days=1)
"""How far a stored time may lie in the future; a later one was stored by a wrong clock."""


class Schedules(Protocol):
    """Leases by the name of the scheduled work; the caller gives the time."""

    async def lease(self, name: str, *, now: datetime, until: datetime, due_at: datetime) -> bool:
        """Take the lease, unless another instance holds it or the work was done since it was due.

        Work without a stored lease is due the next time. A stored time that is too far in the future is ignored.
        """

    async def renew(self, name: str, *, held_until: datetime, until: datetime) -> bool:
        """Extend the lease; safe to repeat. False where it expired and another instance took it."""

    async def successes(self, names: Collection[str]) -> dict[str, datetime]:
        """Return the last success of each piece of work; of one that never ran, the time when it was first known."""

    async def done(self, name: str, *, held_until: datetime, at: datetime) -> bool:
        """Release the lease and record that the work was done; False where another instance took the lease."""


def due_since(now: datetime, *, hour: int) -> datetime:
    """Return the last time at this hour, in the time zone of `now`."""
    struck = now.replace(hour=hour, minute=0, second=0, microsecond=0)
    return struck if struck <= now else struck - timedelta(days=1)
