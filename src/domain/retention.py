"""Retention: for how long events and messages are kept."""

from datetime import datetime, timedelta
from typing import NamedTuple


class Retention(NamedTuple):
    """For how long events and messages are kept. Messages are kept for at least as long as events."""

    events: timedelta
    messages: timedelta | None
    """None for ever."""

    def events_before(self, now: datetime) -> datetime:
        """Return the time before which events are old."""
        return now - self.events

    def messages_before(self, now: datetime) -> datetime | None:
        """Return the time before which messages are old; None where none is."""
        return now - self.messages if self.messages is not None else None
