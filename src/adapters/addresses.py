"""Addresses of databases, without their passwords."""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

_SHOWN = ("host", "port", "user", "database", "dbname", "sslmode")
"""The query parameters of a DSN that may be shown; a password is none of them."""


def without_password(dsn: str) -> str:
    """Return the address of a database without its password, so that an operator can recognise the database."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key in _SHOWN], safe="/")
    return urlunsplit(parts._replace(netloc=netloc, query=query, fragment=""))
