"""The journal of a drill: each change that a client asked for, and what the client knows about its outcome."""

import time
from collections import Counter
from typing import Any, Literal, NamedTuple

Knowledge = Literal["acknowledged", "refused", "unknown"]
"""The knowledge of the clients: it was done, it was not done, or neither."""
Kind = Literal["grant", "accrual", "purchase", "invite", "seat", "mint", "arrival", "delivery", "message"]
NOT_DONE = frozenset(
    {"OVERLOADED", "LIMITER_UNAVAILABLE", "CONTRACT_MISSING", "IDENTITY_KEYS_UNAVAILABLE", "NOBODY_LISTENS"}
)
"""The codes of a 503 that promise that nothing was stored, and that of a connection that was refused."""
UNDECIDED = frozenset({"OUTCOME_UNKNOWN", "IDEMPOTENCY_IN_PROGRESS"})
"""The codes that say that nobody knows yet: the client asks again."""
MOST_SURPRISES = 20


class Operation(NamedTuple):
    """One change that a client asks for, in however many requests."""

    kind: Kind
    user: str
    key: str
    """The part that tells it from the user's other operations of this kind."""
    amount: int = 0

    def __str__(self) -> str:
        return f"the {self.kind} {self.key!r} of {self.user}"


class Reply(NamedTuple):
    """A whole answer."""

    status: int
    body: dict[str, Any]

    @property
    def code(self) -> str | None:
        """The code of the problem; None for a success."""
        return self.body.get("code") if self.status >= 400 else None

    @property
    def name(self) -> str:
        """The status, with the code of the problem."""
        return str(self.status) if self.code is None else f"{self.status} {self.code}"


class Journal:
    """The knowledge of all clients, the answers that they saw, and the answers that no client should see."""

    def __init__(self, *, is_strict: bool = False) -> None:
        """With `is_strict`, no request may be answered with 503 before the incident."""
        self.replies: dict[Operation, Reply] = {}
        """The first success of each operation."""
        self.surprises: list[str] = []
        self.seen: Counter[str] = Counter()
        """The answers since the last `begin`, by status and code."""
        self.slowest_seconds = 0.0
        """The longest time from a request to its answer or its loss, since the last `begin`."""
        self._is_strict = is_strict
        self._open: Counter[Operation] = Counter()
        """The requests whose effect nobody knows."""
        self.refusals: dict[Operation, Reply] = {}
        """The refusals that stand."""

    @property
    def unavailable(self) -> int:
        """The number of answers with 503 since the last `begin`."""
        return sum(count for name, count in self.seen.items() if name.startswith("503"))

    def begin(self) -> None:
        """Count the answers anew, as the incident begins. The knowledge stays."""
        self.seen, self.slowest_seconds, self._is_strict = Counter(), 0.0, False

    def sent(self, operation: Operation) -> None:
        """Note that a request leaves: from now on it may take effect."""
        self._open[operation] += 1

    def answered(self, operation: Operation, reply: Reply | None, began: float) -> None:
        """Note an answer, or None for a request that was lost; `began` is of the monotonic clock."""
        self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - began)
        self.seen["no answer" if reply is None else reply.name] += 1
        if self._is_strict and (reply is None or reply.status == 503):
            self.surprise(
                f"before anything happened, {operation} was answered {'nothing' if reply is None else reply.name}"
            )
        if reply is None or reply.code in UNDECIDED:
            return
        if reply.status < 300:
            first = self.replies.setdefault(operation, reply)
            if first != reply:
                self.surprise(f"{operation} was answered {first.body}, and later {reply.body}")
        elif reply.status == 503 and reply.code in NOT_DONE:
            self._open[operation] -= 1
        elif reply.status in {402, 409, 410}:
            # Requests have keys: a refusal is the answer to every request with that key.
            self._open[operation] = 0
            self.refusals[operation] = reply
            if operation in self.replies:
                self.surprise(f"{operation} was acknowledged, and later answered {reply.name}")
        else:
            self.surprise(f"{operation} was answered {reply.name}")

    def surprise(self, what: str) -> None:
        """Note an answer that no client should see."""
        if len(self.surprises) < MOST_SURPRISES:
            self.surprises.append(what)

    def knowledge(self, operation: Operation) -> Knowledge:
        """Return what the clients know of an operation that was sent."""
        if operation in self.replies:
            return "acknowledged"
        return "unknown" if self._open[operation] > 0 else "refused"

    def operations(self) -> list[Operation]:
        """Return every operation that was sent, in the order of the first requests."""
        return list(self._open)

    def unresolved(self) -> list[Operation]:
        """Return the operations that a client has to send again: nobody knows their outcome, or nothing was done."""
        return [
            operation for operation in self._open if operation not in self.replies and operation not in self.refusals
        ]
