"""Readiness: faults for which a service must not get requests, and notes for operators."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

CheckName = Literal[
    "settings",
    "connection",
    "server",
    "role",
    "login",
    "session",
    "clock",
    "schema",
    "owner",
    "identity keys",
    "rate limits",
    "proxies",
]
"""The topics of checks, in the order in which `tallystick check` shows them."""
Blocked = Literal["requests", "writes", "nothing"]
"""The requests that a server must not get because of a fault; nothing for a note to the operator."""
Purpose = Literal["reads"]
"""The requests that a balancer asks for: those that change nothing. Without a purpose, it asks for all requests."""


class Fault(msgspec.Struct, frozen=True):
    """One fault that a check found."""

    topic: CheckName
    reason: str
    """A sentence for the public reply of the readiness probe."""
    detail: str = ""
    """For operators only: the message of the database, without secrets."""
    blocks: Blocked = "requests"

    @property
    def explained(self) -> str:
        """The reason and the detail, for operators."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


ReadinessCheck = Callable[[], Awaitable[Sequence[Fault]]]
"""A check of one dependency; the service is ready where no check returns a fault."""
