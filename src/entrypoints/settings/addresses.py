"""Settings that are addresses: of databases, web pages, listeners, origins and proxies."""

import re
from collections.abc import Collection
from ipaddress import ip_network
from typing import NamedTuple
from urllib.parse import urlsplit

from tallystick.adapters.rate_limits.limiter import IN_MEMORY

_HOST = re.compile(r"(?:\[[^\]]*\]|[^:\[\]]*)(?::(\d{1,5}))?")
_LAST_PORT = 65535
_NOT_IN_A_URL = re.compile(r"[\x00-\x20\x7f]")
_LISTENER = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9.-]+)):(\d{1,5})")
_HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")
_ORIGIN = re.compile(r"(?:https?|capacitor|tauri|chrome-extension)://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?")


class HostPort(NamedTuple):
    """An address to listen on."""

    host: str
    port: int


def read_database_url(text: str) -> str:
    """Check the URL of a PostgreSQL database, of one host or several; ValueError says what is wrong, never the URL."""
    return _with_scheme(text, {"postgresql", "postgres"})


def read_storage(text: str) -> str:
    """Check where rate limits are counted; ValueError says what is wrong, never the URL."""
    return text if text == IN_MEMORY else _with_scheme(text, {"valkey", "valkeys", "redis", "rediss"})


def read_web_address(text: str) -> str:
    """Check a URL that browsers or servers ask for; ValueError says what is wrong."""
    _with_scheme(text, {"http", "https"})
    if _NOT_IN_A_URL.search(text):
        raise ValueError("white space is not allowed")
    try:
        has_host = bool(urlsplit(text).hostname) and urlsplit(text).port != 0
    except ValueError:
        has_host = False
    if not has_host:
        raise ValueError("a host is needed, and a port from 1 to 65535 where a port is named")
    return text


def read_base_url(text: str) -> str:
    """Check a URL that links start with; ValueError says what is wrong."""
    if "?" in text or "#" in text:
        raise ValueError("links start with it: it must end with the host or a path")
    return read_web_address(text)


def read_origins(text: str) -> tuple[str, ...]:
    """Read the origins of web apps, separated by spaces; ValueError says what is right."""
    if not all(_ORIGIN.fullmatch(origin) for origin in text.split()):
        raise ValueError(
            "http://, https://, capacitor://, tauri:// or chrome-extension:// and a host in lower case are needed, "
            "without a path or a slash at the end; several are separated by spaces"
        )
    return tuple(text.split())


def read_headers(text: str) -> tuple[str, ...]:
    """Read names of request headers, separated by spaces; ValueError says what is right."""
    if not all(_HEADER.fullmatch(name) for name in text.split()):
        raise ValueError("names of headers such as `x-app-version` are needed, separated by spaces")
    return tuple(text.split())


def read_networks(text: str) -> tuple[str, ...]:
    """Read addresses and networks, separated by spaces; ValueError says which is neither."""
    for word in text.split():
        ip_network(word, strict=False)
    return tuple(text.split())


def read_listener(text: str) -> HostPort:
    """Read `host:port`; ValueError says what is right."""
    found = _LISTENER.fullmatch(text)
    if found is None or int(found[3]) > _LAST_PORT:
        raise ValueError("a host and a port from 0 to 65535 are needed, as in 127.0.0.1:9100 or [::1]:9100")
    return HostPort(found[1] or found[2], int(found[3]))


def is_same_database(one: str, other: str) -> bool:
    """Return whether two URLs name one database, whatever their logins are."""
    return _without_login(one) == _without_login(other)


def _without_login(url: str) -> tuple[str, str, str]:
    parts = urlsplit(url)
    return parts.netloc.rpartition("@")[2], parts.path, parts.query


def _with_scheme(url: str, schemes: Collection[str]) -> str:
    try:
        scheme, netloc = urlsplit(url)[:2]
    except ValueError:
        scheme, netloc = "", ""
    if scheme not in schemes:
        raise ValueError(f"it must start with {' or '.join(f'{known}://' for known in sorted(schemes))}")
    if not all(map(_is_host, netloc.rpartition("@")[2].split(","))):
        raise ValueError(
            "a port from 1 to 65535 is needed where a port is named; in a password, / ? # @ are written as "
            "%2F %3F %23 %40"
        )
    return url


def _is_host(text: str) -> bool:
    host = _HOST.fullmatch(text)
    return host is not None and (host[1] is None or 0 < int(host[1]) <= _LAST_PORT)
