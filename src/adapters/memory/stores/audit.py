"""Audit in memory."""

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.audit import Audit, AuditQuery, PageCursor, cursor_of
from tallystick.domain.ledger import Entry


class MemoryAudit(Audit):
    """The entries of points in a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def entries(self, query: AuditQuery, *, before: PageCursor | None, limit: int) -> list[Entry]:
        if query.is_open:
            raise ConstraintViolated("an audit query has no condition")
        found = [entry for entry in self._view.entries.values() if entry.unit == "points" and query.fits(entry)]
        if query.player_id is not None:
            found.sort(key=lambda entry: entry.seq, reverse=True)
            return [entry for entry in found if before is None or entry.seq < before.seq][:limit]
        found.sort(key=cursor_of, reverse=True)
        return [entry for entry in found if before is None or cursor_of(entry) < before][:limit]
