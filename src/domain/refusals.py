"""Refusals: the definite noes of the domain."""

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


class Refusal(Exception):
    """A definite no: nothing was done. Its class is the reason, `code` its lasting name, its attributes the facts.

    A refusal is a value in a batch and an exception only towards the caller who asked.
    """

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    """True where the same request may succeed later without being changed."""
    _failure_cause: Cause | None = None
    _sqlstate: str | None = None

    @property
    def failure_cause(self) -> Cause | None:
        """Why it could not be served now, for operators; None where the request itself is the reason."""
        return self._failure_cause

    @property
    def sqlstate(self) -> str | None:
        """The SQLSTATE behind the cause, where the database gave one."""
        return self._sqlstate

    @property
    def detail(self) -> str:
        """One sentence for people: what is wrong and, where it helps, what would be right."""
        return str(self.args[0])

    def facts(self) -> dict[str, Fact]:
        """Return what a caller may act on, by name."""
        return {name: value for name, value in vars(self).items() if not name.startswith("_")}


class Unauthenticated(Refusal):
    """Nobody known is calling."""

    code = "UNAUTHENTICATED"

    def __init__(self, detail: str = "a valid bearer token or session cookie is needed") -> None:
        super().__init__(detail)


class PermissionMissing(Refusal):
    """The caller is known and lacks the permission."""

    code = "FORBIDDEN"

    def __init__(self, permission: str) -> None:
        super().__init__(f"the permission {permission} is needed")
        self.permission = permission


class InvalidText(Refusal):
    """A value holds a character or a number that no store can keep."""

    code = "INVALID_REQUEST"

    def __init__(self) -> None:
        super().__init__("a value cannot be stored: it holds a character or a number out of range")


class Overloaded(Refusal):
    """The request was shed before anything was done."""

    code = "OVERLOADED"
    retryable = True

    def __init__(
        self,
        detail: str = "too much is waiting; nothing was done, ask again",
        *,
        cause: Cause = "queue_full",
        sqlstate: str | None = None,
    ) -> None:
        super().__init__(detail)
        self._failure_cause, self._sqlstate = cause, sqlstate


class OutcomeUnknown(Refusal):
    """Nobody can tell whether the effect took place; asking again with the same key is safe."""

    code = "OUTCOME_UNKNOWN"
    retryable = True
    _failure_cause = "commit_lost"

    def __init__(self) -> None:
        super().__init__("the database was lost at the commit; ask again with the same Idempotency-Key")
