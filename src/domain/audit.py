"""Audit: entries of points, found by player, staff member, request or type of event."""

from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from tallystick.domain.ledger import Entry, EventType
from tallystick.domain.users import UserId


class AuditQuery(msgspec.Struct, frozen=True):
    """The filter of a search; None matches every entry. At least one field has to be set."""

    player_id: UserId | None = None
    correlation_id: str | None = None
    staff_id: UserId | None = None
    event_type: EventType | None = None

    @property
    def is_open(self) -> bool:
        """Return whether no field is set."""
        return (self.player_id, self.correlation_id, self.staff_id, self.event_type) == (None, None, None, None)

    def fits(self, entry: Entry) -> bool:
        """Return whether an entry matches the filter."""
        return (
            self.player_id in {None, entry.user_id}
            and self.correlation_id in {None, entry.correlation_id}
            and self.staff_id in {None, entry.staff_id}
            and self.event_type in {None, entry.event_type}
        )


class PageCursor(NamedTuple):
    """The position of an entry in a listing; a listing of one player is ordered by `seq` alone."""

    created_at: datetime
    user_id: UserId
    seq: int


class Audit(Protocol):
    """Entries of points across players."""

    async def entries(self, query: AuditQuery, *, before: PageCursor | None, limit: int) -> list[Entry]:
        """Return the newest matching entries before a position; those of one player in the order of `seq`."""


def cursor_of(entry: Entry) -> PageCursor:
    """Return the position of an entry."""
    return PageCursor(entry.created_at, entry.user_id, entry.seq)
