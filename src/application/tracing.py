"""Traces: spans of a request, of the batches that it is part of, and of the calls of the stores that these make."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, Protocol

SpanFact = Literal[
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "tallystick.batch_size",
    "tallystick.code",
    "tallystick.contract_version",
    "tallystick.correlation_id",
    "tallystick.rows",
]
"""The names of facts about a span. None of them holds what a user sent, but for the correlation id."""


class Span(Protocol):
    """A piece of work that is recorded in a trace."""

    def child(self, name: str) -> "Span":
        """Begin a span that is part of this one."""

    def note(self, fact: SpanFact, value: str | int) -> None:
        """Add a fact."""

    def fail(self, error: str) -> None:
        """Mark the span as failed, with the class of an error or the code of a failure; never with a message."""

    def end(self, name: str | None = None) -> None:
        """End the span, and rename it where a name is given. A span ends once; further ends do nothing."""


class Tracer(Protocol):
    """Records spans. It never waits, and never fails what it records."""

    def current(self) -> Span | None:
        """Return the span that the running code is part of; None where it is not recorded or has ended."""

    def request(self, traceparent: bytes | None) -> Span | None:
        """Begin the span of a request, which is the current one from now on; None where it is not recorded.

        The caller's `traceparent` decides whether it is, or else a sample does.
        """

    def inside(self, name: str, parents: Sequence[Span]) -> AbstractContextManager[Span | None]:
        """Record the block as a part of the first parent, with links to all where there are several.

        Without parents the block is not recorded, whatever the current span is. An exception marks the span as failed.
        """


class SilentTracer(Tracer):
    """Records nothing."""

    def current(self) -> Span | None:
        return None

    def request(self, traceparent: bytes | None) -> Span | None:  # noqa: ARG002  the names are the port's
        return None

    def inside(self, name: str, parents: Sequence[Span]) -> AbstractContextManager[Span | None]:  # noqa: ARG002
        return nullcontext()


SILENT = SilentTracer()
