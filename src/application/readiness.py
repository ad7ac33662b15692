"""Readiness: why a service must not be sent requests, and what else an operator should know."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import msgspec

Topic = Literal[
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
"""The checks, in the order in which `tallystick check` shows it."""


class Fault(msgspec.Struct, frozen=True):
    """One thing that is not as it has to be."""

    topic: Topic
    reason: str
    """A sentence for everybody who asks whether the service is ready."""
    detail: str = ""
    """Details for operators: the database's own words, without secrets."""

    @property
    def explained(self) -> str:
        """The reason and the detail, for operators."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


ReadinessCheck = Callable[[], Awaitable[Sequence[Fault]]]
"""One question to something that the service depends on; no fault means that the service may be ready."""
