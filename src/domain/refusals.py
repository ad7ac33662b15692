"""Failures: why a request did not succeed, in branches that say what became of its effect."""

from typing import ClassVar, Literal

Fact = str | int | bool | None

Cause = Literal[
    "codes",
    "commit_lost",
    "conflict",
    "connections",
    "database",
    "disk_full",
    "flag",
    "identity_keys",
    "in_flight",
    "limiter_storage",
    "lock",
    "login",
    "lost",
    "memory",
    "passwords",
    "pending",
    "pool",
    "queue_full",
    "read_only",
    "resources",
    "schema",
    "shutdown",
    "time_out",
    "unreachable",
    "waited",
]
"""Why a request could not be served now, for logs and metrics: a closed set, which callers never see."""


class Failure(Exception):
    """Why a request did not succeed. Its class is the reason, `code` its lasting name, its attributes the facts.

    Every failure belongs to one branch, and the branch says what became of the effect: Refusal, Unavailable,
    OutcomeUnknown, Incomplete, or an error of the program. A failure is a value in a batch, and is raised only towards
    the caller.
    """

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    """True where the same request may succeed later without being changed; the branch decides."""
    _failure_cause: Cause | None = None
    _sqlstate: str | None = None

    @property
    def failure_cause(self) -> Cause | None:
        """Why the request could not be served now, for operators; None where the request itself is the reason."""
        return self._failure_cause

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE of the cause, where the database gave one."""
        return self._sqlstate

    @property
    def detail(self) -> str:
        """One sentence for people: what is wrong and, where it helps, what would be right."""
        return str(self.args[0])

    def facts(self) -> dict[str, Fact]:
        """Return what a caller may act on, by name."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class Refusal(Failure):
    """A definite no: nothing was done, and the same request gets the same answer until something else changes.

    The only failure that is stored under an idempotency key.
    """


class Unavailable(Failure):
    """Nothing was done, and the same request may succeed later. Never stored under an idempotency key."""

    retryable = True


class OutcomeUnknown(Failure):
    """The connection was lost at the commit: the effect may have been stored or not.

    A retry with the same idempotency key is safe. Never stored under an idempotency key.
    """

    code = "OUTCOME_UNKNOWN"
    retryable = True
    _failure_cause = "commit_lost"

    def __init__(self) -> None:
        super().__init__(
            "the connection to the database was lost at the commit; ask again with the same Idempotency-Key"
        )


class Incomplete(Failure):
    """A part of the effect was stored, and the rest waits; the same request asks for the rest.

    Never stored under an idempotency key.
    """

    retryable = True


class Unauthenticated(Refusal):
    """The caller is not authenticated."""

    code = "UNAUTHENTICATED"

    def __init__(self, detail: str = "a valid bearer token or session cookie is needed") -> None:
        super().__init__(detail)


class PermissionMissing(Refusal):
    """The caller is known and lacks the permission."""

    code = "FORBIDDEN"
    permission: str

    def __init__(self, permission: str) -> None:
        super().__init__(f"the permission {permission} is needed")
        self.permission = permission


class InvalidText(Refusal):
    """A value holds a character or a number that no store can keep."""

    code = "INVALID_REQUEST"

    def __init__(self) -> None:
        super().__init__("a value cannot be stored: it holds a character or a number out of range")


class Overloaded(Unavailable):
    """The request was shed before anything was done."""

    code = "OVERLOADED"

    def __init__(
        self,
        detail: str = "too much is waiting; nothing was done, ask again",
        *,
        cause: Cause = "queue_full",
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(detail)
        self._failure_cause, self._sqlstate = cause, sqlstate
