"""The meaning of a database error for the application, by its SQLSTATE."""

from collections.abc import Mapping
from typing import Literal

import asyncpg

from tallystick.adapters.postgres.violations import RACES
from tallystick.application.transactions import (
    LockHeld,
    StoreFailure,
    StoreUnavailable,
    TransactionAborted,
    WriteConflict,
)
from tallystick.domain.refusals import Cause, InvalidText

Meaning = Literal["aborted", "held", "unavailable"]

MEANINGS: Mapping[str, Meaning] = {
    "40001": "aborted",  # serialization failure, in any statement or at COMMIT
    "40P01": "aborted",  # deadlock
    "55P03": "held",  # lock_timeout
    "0A000": "aborted",  # a plan cached before an ALTER
    "53300": "aborted",  # too many connections
    "57P01": "aborted",  # administrator shut the server down
    "57P02": "aborted",  # crash of another backend
    "57P03": "aborted",  # starting up or shutting down
    "53100": "unavailable",  # disk full
    "53200": "unavailable",  # out of memory
    "53000": "unavailable",  # out of some other resource, such as file handles
    "53400": "unavailable",  # a limit that the operator configured, such as temp_file_limit
    "58000": "unavailable",  # an error of the operating system
    "58030": "unavailable",  # a read or write that failed
    "57014": "unavailable",  # statement_timeout
    "25006": "unavailable",  # a read-only standby
    "42P01": "unavailable",  # a table or
    "42703": "unavailable",  # a column that this version's schema has and the database's does not
    "42501": "unavailable",  # a right that the service was granted, and that somebody revoked
}
"""All SQLSTATEs that are expected. All others are bugs, and so are constraints that are not in RACES."""


CAUSES: Mapping[str, Cause] = {
    "40P01": "lock",
    "55P03": "lock",
    "40": "conflict",
    "23": "conflict",
    "0A": "schema",
    "42": "schema",
    "53300": "connections",
    "53100": "disk_full",
    "53200": "memory",
    "53": "resources",
    "58": "resources",
    "57014": "time_out",
    "57P03": "unreachable",
    "25006": "read_only",
    "08": "lost",
    "57": "lost",
    "28": "login",
    "3D": "login",
    "42501": "login",
}
"""The cause that operators read, by SQLSTATE or by its class, the first two characters."""


def cause_of(error: BaseException) -> Cause:
    """Return the cause that operators read, for an error of the database or of the connection."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return CAUSES.get(state) or CAUSES.get(state[:2], "database")
    if isinstance(error, TimeoutError):
        return "time_out"
    return "lost" if isinstance(error, asyncpg.InterfaceError | asyncpg.InternalClientError) else "unreachable"


_UNSTORABLE = frozenset({"22000", "22003", "22021", "22P02", "22P05"})
"""SQLSTATEs of values that the database cannot store; the driver itself raises 22000, before the server is asked."""


def translated(error: BaseException, *, connection_lost: bool) -> BaseException:
    """Return the application's error for one before COMMIT; the error itself where it is a bug or no store error."""
    if isinstance(error, asyncpg.PostgresError):
        return _meaning(error)
    if isinstance(error, TimeoutError):  # command_timeout: the statement was cancelled, and COMMIT was not sent
        return StoreUnavailable("a statement took too long", cause="time_out")
    # asyncpg raises InternalClientError when the server closes the connection in the middle of a message.
    if isinstance(error, OSError | asyncpg.InternalClientError) or (
        connection_lost and isinstance(error, asyncpg.InterfaceError)
    ):
        return TransactionAborted("the connection was lost before the commit", cause="lost")
    return error


def _meaning(error: asyncpg.PostgresError) -> Exception:
    state = error.sqlstate or ""
    cause = cause_of(error)
    if state.startswith("23") and getattr(error, "constraint_name", None) in RACES:
        return WriteConflict(state, cause=cause, sqlstate=state)
    if state in _UNSTORABLE:
        return InvalidText()
    if state.startswith("08"):
        return TransactionAborted(state, cause=cause, sqlstate=state)
    meaning = MEANINGS.get(state)
    return _ERRORS[meaning](state, cause=cause, sqlstate=state) if meaning is not None else error


_ERRORS: Mapping[Meaning, type[StoreFailure]] = {
    "aborted": TransactionAborted,
    "held": LockHeld,
    "unavailable": StoreUnavailable,
}
