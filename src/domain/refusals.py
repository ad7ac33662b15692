"""Refusals: the definite noes of the domain."""

from typing import ClassVar

Fact = str | int | bool | None


class Refusal(Exception):
    """A definite no: nothing was done. Its class is the reason, `code` its lasting name, its attributes the facts.

    A refusal is a value in a batch and an exception only towards the caller who asked.
    """

    code: ClassVar[str]
    retryable: ClassVar[bool] = False
    """True where the same request may succeed later without being changed."""

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


class Overloaded(Refusal):
    """The request was shed before anything was done."""

    code = "OVERLOADED"
    retryable = True

    def __init__(self, detail: str = "too much is waiting; nothing was done, ask again") -> None:
        super().__init__(detail)


class OutcomeUnknown(Refusal):
    """Nobody can tell whether the effect took place; asking again with the same key is safe."""

    code = "OUTCOME_UNKNOWN"
    retryable = True

    def __init__(self) -> None:
        super().__init__("the database was lost at the commit; ask again with the same Idempotency-Key")
