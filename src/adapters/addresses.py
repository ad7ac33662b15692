"""Addresses of databases, as people may see them."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SHOWN = ("host", "port", "user", "database", "dbname", "sslmode")
"""What of a DSN's query may be shown; a password may not."""


def without_password(dsn: str) -> str:
    """Return the address of a database without its password, still good to recognise it by."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    place = f"{user.partition(':')[0]}@{host}" if user else host
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key in _SHOWN], safe="/")
    return urlunsplit(parts._replace(netloc=place, query=query, fragment=""))
