"""Pending accruals in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.tables import GuardBroken, View
from tallystick.domain.ledger import EventKey
from tallystick.domain.pending_accruals import Backlog, PendingAccrual, PendingAccruals
from tallystick.domain.users import UserId


class MemoryPendingAccruals(PendingAccruals):
    """What waits in a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, pending: Sequence[PendingAccrual]) -> None:
        self._view.writing()
        for each in pending:
            if each.event in self._view.pending or each.player_id not in self._view.users or each.points < 1:
                raise GuardBroken("pending_accruals_pkey, pending_accruals_player_fkey or pending_accruals_positive")
            self._view.pending.put(each.event, each)

    async def lock(self, events: Collection[EventKey]) -> dict[EventKey, PendingAccrual]:
        self._view.writing()
        found = {event: self._view.pending.get(event) for event in sorted(events)}
        return {event: pending for event, pending in found.items() if pending is not None}

    async def store(self, pending: Sequence[PendingAccrual]) -> None:
        self._view.writing()
        for each in pending:
            if each.event not in self._view.pending:
                raise GuardBroken("what does not wait was tried")
            self._view.pending.put(each.event, each)

    async def remove(self, events: Collection[EventKey]) -> None:
        self._view.writing()
        for event in events:
            self._view.pending.remove(event)

    async def take_due(self, *, before: datetime, at: datetime, limit: int, needs_phone: bool) -> list[PendingAccrual]:
        self._view.writing()
        due = [
            each
            for each in self._view.pending.values()
            if each.last_tried_at <= before
            and each.is_due(at, is_verified=UserId(each.event_key) in self._view.verifications, needs_phone=needs_phone)
        ]
        due = sorted(due, key=lambda each: (each.last_tried_at, each.event))[:limit]
        taken = [msgspec.structs.replace(each, last_tried_at=at) for each in due]
        for each in taken:
            self._view.pending.put(each.event, each)
        return taken

    async def page(self, *, after: tuple[datetime, EventKey] | None, limit: int) -> list[PendingAccrual]:
        waiting = sorted(self._view.pending.values(), key=_place)
        return [each for each in waiting if after is None or _place(each) > after][:limit]

    async def backlog(self) -> Backlog:
        since = [each.created_at for each in self._view.pending.values() if each.is_stuck]
        return Backlog(len(since), min(since, default=None))


def _place(pending: PendingAccrual) -> tuple[datetime, EventKey]:
    return (pending.created_at, pending.event)
