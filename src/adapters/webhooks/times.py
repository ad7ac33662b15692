"""Times as identity providers write them, and the values that stand for "never"."""

import re
from datetime import UTC, datetime

_DATE = re.compile(r"\d{4}-\d\d-\d\d")
"""The beginning of a time; Python would accept other forms too, such as eight digits."""
_MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
_FIRST_YEAR, _LAST_YEAR = 1971, 9998


def read_time(value: object) -> datetime | None:
    """Return a provider's time in UTC: RFC 3339, or whole seconds or milliseconds since 1970.

    None for everything else, and for times of 1970 or before: Go's zero time, an empty text, 0, false and 1 all stand
    for "never".
    """
    try:
        if isinstance(value, str) and _DATE.match(value):
            time = datetime.fromisoformat(value)
            time = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
        elif isinstance(value, int) and not isinstance(value, bool):
            time = datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return time if _FIRST_YEAR <= time.year <= _LAST_YEAR else None
