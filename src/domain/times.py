"""Times that are accepted: far enough from the ends of the calendar for every zone, format and database."""

from datetime import UTC, datetime

EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
BOUNDS = "from year 2 to year 9998"
"""The bounds in words, for messages."""


def in_utc(time: datetime) -> datetime | None:
    """Return a time with a zone in UTC; None where it has no zone or lies outside of the years 2 to 9998.

    PostgreSQL and asyncpg read both ends of the calendar as infinity, and another zone can shift a time beyond them.
    """
    if time.tzinfo is None:
        return None
    try:
        shifted = time.astimezone(UTC)
    except OverflowError:
        return None
    return shifted if EARLIEST <= shifted <= LATEST else None


def bounded(time: datetime) -> datetime:
    """Return a time that a database returned; the nearest bound for infinity, which comes without a zone."""
    if time.tzinfo is not None:
        return time
    return EARLIEST if time.year == 1 else LATEST
