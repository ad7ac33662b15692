"""Webhook deliveries in memory."""

from collections.abc import Sequence
from datetime import datetime

from tallystick.adapters.memory.tables import View
from tallystick.domain.identity_events import Deliveries, IdentityEvent


class MemoryDeliveries(Deliveries):
    """The deliveries of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def claim(self, events: Sequence[IdentityEvent]) -> set[str]:
        self._view.require_writable()
        new = {event.delivery_id: event for event in events if event.delivery_id not in self._view.deliveries}
        for delivery_id, event in new.items():
            self._view.deliveries.put(delivery_id, event)
        return set(new)

    async def forget(self, *, before: datetime, limit: int) -> int:
        self._view.require_writable()
        old = [event for event in self._view.deliveries.values() if event.received_at < before]
        for event in old[:limit]:
            self._view.deliveries.remove(event.delivery_id)
        return len(old[:limit])
