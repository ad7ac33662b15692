"""Addresses of databases, without their passwords."""

from urllib.parse import parse_qsl, unquote, urlencode, urlsplit, urlunsplit

_SHOWN = ("host", "port", "user", "database", "dbname", "sslmode")
"""The query parameters of a DSN that may be shown; a password is none of them."""


def without_password(dsn: str) -> str:
    """Return the address of a database without its password, so that an operator can recognise the database."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    netloc = f"{user.partition(':')[0]}@{host}" if user else host
    query = urlencode([(key, value) for key, value in parse_qsl(parts.query) if key in _SHOWN], safe="/")
    return urlunsplit(parts._replace(netloc=netloc, query=query, fragment=""))


def split_password(dsn: str) -> tuple[str, str | None]:
    """Return the address of a database with all its parameters but the password, and the password if it has one."""
    parts = urlsplit(dsn)
    user, _, host = parts.netloc.rpartition("@")
    name, colon, secret = user.partition(":")
    given = parse_qsl(parts.query, keep_blank_values=True)
    query = urlencode([(key, value) for key, value in given if key != "password"], safe="/")
    password = dict(given).get("password", unquote(secret) if colon else None)
    return urlunsplit(parts._replace(netloc=f"{name}@{host}" if user else parts.netloc, query=query)), password
