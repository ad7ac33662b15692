"""Connections outside the pool, and explanations of failed connections: the server's message with advice."""

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import asyncpg

POOLER_ADVICE = (
    "behind PgBouncer, set ignore_startup_parameters = role, search_path, jit, enable_seqscan, statement_timeout, "
    "lock_timeout, idle_in_transaction_session_timeout, idle_session_timeout"
)
STATEMENTS_ADVICE = "behind PgBouncer in transaction mode, set TALLYSTICK_CACHE_STATEMENTS=off"
_ADVICE: Mapping[str, str] = {
    "28P01": "check the user and the password",
    "28000": "check that the login exists, may log in, and may come from this address",
    "3D000": "create this database, or name another one",
    "42501": (
        "give the login what it lacks: GRANT CONNECT ON DATABASE the database TO the login, or GRANT tallystick_app TO "
        "the login"
    ),
    "53300": "lower TALLYSTICK_POOL_SIZE, end other sessions, or raise max_connections of the server",
    "57P03": "wait until the server has started",
    "42P05": STATEMENTS_ADVICE,
    "26000": STATEMENTS_ADVICE,
}
_POOLER_STATE = "08P01"
"""What PgBouncer answers for everything that it has to say itself."""
_POOLER_WAITS = ("query_wait_timeout", "server_login_retry", "shut down", "shutting down", "no more connections")
"""Words of PgBouncer about a database that is not there, and about an end or a limit of its own."""
_POOLER_ADVICE: Mapping[str, str] = {
    "startup parameter": POOLER_ADVICE,
    "authentication failed": "check the user and the password",
    **dict.fromkeys(_POOLER_WAITS, "wait until PgBouncer reaches the database; its log has the reason"),
}
_PASSING = frozenset({"53300", "57P01", "57P02", "57P03"})
"""SQLSTATEs of a server that starts, ends, or has no connection to give at the moment, beside the class 08."""
_LONGEST = 300
_CONNECT_SECONDS = 10.0
_NO_FILE = (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError)
_FAILURES = (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError)


class Unreachable(Exception):
    """The database refuses connections or does not answer; the message holds the reason and advice, and no secrets."""


class NotThere(Unreachable):
    """Nobody answers, or the server takes no connections yet: the same attempt may succeed later."""


async def connect(
    dsn: str, *, name: str, settings: Mapping[str, str] | None = None
) -> "asyncpg.Connection[asyncpg.Record]":
    """Connect outside the pool, for one command or one migration; Unreachable says why that is not possible.

    NotThere where time alone may change it.
    """
    try:
        connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(
            dsn,
            timeout=_CONNECT_SECONDS,
            statement_cache_size=0,
            server_settings={"application_name": name, **(settings or {})},
        )
    except _FAILURES as error:
        raise _unreachable(error, dsn) from None
    return connection


async def reach(dsn: str, *, name: str) -> None:
    """Connect and ask something, because a pooler accepts connections without a database; failures as of `connect`."""
    connection = await connect(dsn, name=name)
    try:
        await connection.execute("SELECT 1", timeout=_CONNECT_SECONDS)
    except _FAILURES as error:
        raise _unreachable(error, dsn) from None
    finally:
        connection.terminate()


def _unreachable(error: Exception, dsn: str) -> Unreachable:
    wrong = _unreadable(dsn) if isinstance(error, _NO_FILE) else None
    if wrong is not None:
        return Unreachable(f"the database cannot be reached: {wrong} names a file that cannot be read")
    kind = NotThere if _may_pass(error) else Unreachable
    return kind(f"the database cannot be reached: {explained(error, dsn)}")


def _unreadable(dsn: str) -> str | None:
    """Return the parameter of the URL, or the variable of the environment, whose file cannot be read."""
    query = parse_qs(urlsplit(dsn).query)
    for name in ("sslrootcert", "sslcert", "sslkey", "sslcrl"):
        variable = f"PG{name.upper()}"
        source, path = (name, query[name][-1]) if name in query else (variable, os.environ.get(variable, ""))
        if path and not (Path(path).is_file() and os.access(path, os.R_OK)):
            return source
    return None


def _may_pass(error: Exception) -> bool:
    """Return whether a failure to connect may end by itself; a wrong password or a wrong setting does not."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state == _POOLER_STATE:
            return any(words in str(error) for words in _POOLER_WAITS)
        return state in _PASSING or state.startswith("08")
    return isinstance(error, OSError) and not _is_of_tls(error)


def _is_of_tls(error: BaseException) -> bool:
    return isinstance(error, ssl.SSLError) or "SSL" in str(error)


def explained(error: BaseException, dsn: str) -> str:
    """Return the message of the server or the network, with its SQLSTATE if it has one, and advice."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        # Only the message: the other lines of a server's error may hold values of rows.
        message = f"{_first_line(error.args[0] if error.args else '')} (SQLSTATE {state})"
        advice = _ADVICE.get(state, "")
        if state == _POOLER_STATE:
            advice = next((then for words, then in _POOLER_ADVICE.items() if words in message), "")
    elif isinstance(error, TimeoutError):
        message, advice = "no answer in time", "check the host, the port and the firewall"
    elif _is_of_tls(error):
        message = f"TLS failed: {_first_line(str(error))}"
        advice = "check sslmode in the URL, and the certificate of the server"
    elif isinstance(error, OSError):
        message, advice = _first_line(error.strerror or str(error)), "check the host, the port and the firewall"
    else:
        message, advice = _first_line(str(error)), "check the URL"
    text = _without_secrets(message or type(error).__name__, dsn)
    return f"{text}; {advice}" if advice else text


def _first_line(text: object) -> str:
    return str(text).partition("\n")[0].strip()[:_LONGEST]


def _without_secrets(text: str, dsn: str) -> str:
    """Return the text with the DSN and its password replaced."""
    parts = urlsplit(dsn)
    in_netloc = parts.netloc.rpartition("@")[0].partition(":")[2]
    secrets = {dsn, in_netloc, unquote(in_netloc), *parse_qs(parts.query).get("password", ())} - {""}
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return text
