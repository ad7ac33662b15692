"""Audit: entries of points, by whose they are, who gave them, which request it was and what for."""

from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from tallystick.domain.ledger import Entry, EventType
from tallystick.domain.users import UserId


class AuditQuery(msgspec.Struct, frozen=True):
    """Which entries are asked for; None stands for any. One of them has to be named."""

    player_id: UserId | None = None
    correlation_id: str | None = None
    staff_id: UserId | None = None
    event_type: EventType | None = None

    @property
    def is_open(self) -> bool:
        """Tell whether it asks for everything at once."""
        return (self.player_id, self.correlation_id, self.staff_id, self.event_type) == (None, None, None, None)

    def fits(self, entry: Entry) -> bool:
        """Tell whether an entry is one that is asked for."""
        return (
            self.player_id in {None, entry.user_id}
            and self.correlation_id in {None, entry.correlation_id}
            and self.staff_id in {None, entry.staff_id}
            and self.event_type in {None, entry.event_type}
        )


class PageCursor(NamedTuple):
    """Where an entry stands among those of everybody; among those of one player, by `seq` alone."""

    created_at: datetime
    user_id: UserId
    seq: int


class Audit(Protocol):
    """Entries of points across players."""

    async def entries(self, query: AuditQuery, *, before: PageCursor | None, limit: int) -> list[Entry]:
        """Return the newest entries that are asked for, those before a place; of one player in the order of `seq`."""


def cursor_of(entry: Entry) -> PageCursor:
    """Return where an entry stands."""
    return PageCursor(entry.created_at, entry.user_id, entry.seq)
