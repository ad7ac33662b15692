"""Pending accruals in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.ledger import EventKey
from tallystick.domain.pending_accruals import Backlog, PendingAccrual, PendingAccruals
from tallystick.domain.users import UserId


class MemoryPendingAccruals(PendingAccruals):
    """The pending accruals of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, pending: Sequence[PendingAccrual]) -> None:
        self._view.require_writable()
        for each in pending:
            if each.event in self._view.pending or each.player_id not in self._view.users or each.points < 1:
                raise ConstraintViolated(
                    "pending_accruals_pkey, pending_accruals_player_fkey or pending_accruals_positive"
                )
            self._view.pending.put(each.event, each)

    async def lock(self, events: Collection[EventKey]) -> dict[EventKey, PendingAccrual]:
        self._view.require_writable()
        found = {event: self._view.pending.get(event) for event in sorted(events)}
        return {event: pending for event, pending in found.items() if pending is not None}

    async def store(self, pending: Sequence[PendingAccrual]) -> None:
        self._view.require_writable()
        for each in pending:
            if each.event not in self._view.pending:
                raise ConstraintViolated("an accrual that is not pending was stored")
            self._view.pending.put(each.event, each)

    async def remove(self, events: Collection[EventKey]) -> None:
        self._view.require_writable()
        for event in events:
            self._view.pending.remove(event)

    async def take_due(self, *, before: datetime, at: datetime, limit: int, needs_phone: bool) -> list[PendingAccrual]:
        self._view.require_writable()
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
        waiting = sorted(self._view.pending.values(), key=_sort_key)
        return [each for each in waiting if after is None or _sort_key(each) > after][:limit]

    async def backlog(self) -> Backlog:
        since = [each.created_at for each in self._view.pending.values() if each.is_stuck]
        return Backlog(len(since), min(since, default=None))


def _sort_key(pending: PendingAccrual) -> tuple[datetime, EventKey]:
    return (pending.created_at, pending.event)
