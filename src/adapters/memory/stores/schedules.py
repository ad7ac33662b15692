"""Schedules in memory."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.memory.tables import Lease, View
from tallystick.application.schedules import MAX_LEAD, Schedules


class MemorySchedules(Schedules):
    """The schedules of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def lease(self, name: str, *, now: datetime, until: datetime, due_at: datetime) -> bool:
        self._view.require_writable()
        before = self._view.leases.get(name)
        if before is None:
            self._view.leases.put(name, Lease(now, now))
            return False
        latest = now + MAX_LEAD
        if now < before.until <= latest or (before.done_at is not None and due_at <= before.done_at <= latest):
            return False
        self._view.leases.put(name, Lease(until, before.done_at))
        return True

    async def renew(self, name: str, *, held_until: datetime, until: datetime) -> bool:
        self._view.require_writable()
        before = self._view.leases.get(name)
        if before is None or before.until not in {held_until, until}:
            return False
        self._view.leases.put(name, Lease(until, before.done_at))
        return True

    async def successes(self, names: Collection[str]) -> dict[str, datetime]:
        leases = {name: self._view.leases.get(name) for name in names}
        return {name: lease.done_at for name, lease in leases.items() if lease is not None and lease.done_at}

    async def done(self, name: str, *, held_until: datetime, at: datetime) -> bool:
        self._view.require_writable()
        before = self._view.leases.get(name)
        if before is None or before.until != held_until:
            return False
        self._view.leases.put(name, Lease(at, at))
        return True
