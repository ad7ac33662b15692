"""Traces as plain objects, that tests read."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from tallystick.application.tracing import Span, SpanFact, Tracer


class RecordedSpan(Span):
    """A span with its relations and its facts."""

    def __init__(self, tracer: "RecordedTracer", name: str, parent: Span | None, links: Sequence[Span] = ()) -> None:
        self._tracer, self.name, self.parent, self.links = tracer, name, parent, tuple(links)
        self.facts: dict[SpanFact, str | int] = {}
        self.error: str | None = None
        self.has_ended = False
        tracer.spans.append(self)

    def child(self, name: str) -> "RecordedSpan":
        return RecordedSpan(self._tracer, name, self)

    def note(self, fact: SpanFact, value: str | int) -> None:
        self.facts[fact] = value

    def fail(self, error: str) -> None:
        self.error = error

    def end(self, name: str | None = None) -> None:
        if not self.has_ended:
            self.name, self.has_ended = name or self.name, True


class RecordedTracer(Tracer):
    """Records every request."""

    def __init__(self) -> None:
        self.spans: list[RecordedSpan] = []
        self._current: ContextVar[RecordedSpan | None] = ContextVar("the current span", default=None)

    def current(self) -> RecordedSpan | None:
        span = self._current.get()
        return None if span is None or span.has_ended else span

    def request(self, traceparent: bytes | None) -> RecordedSpan | None:  # noqa: ARG002  the names are the port's
        span = RecordedSpan(self, "request", None)
        self._current.set(span)
        return span

    @contextmanager
    def inside(self, name: str, parents: Sequence[Span]) -> Iterator[RecordedSpan | None]:
        span = RecordedSpan(self, name, parents[0], parents if len(parents) > 1 else ()) if parents else None
        outside = self._current.set(span)
        try:
            yield span
        except BaseException as error:
            if span is not None:
                span.fail(type(error).__name__)
            raise
        finally:
            self._current.reset(outside)
            if span is not None:
                span.end()

    def named(self, name: str) -> list[RecordedSpan]:
        """Return the spans of a name, in the order of their beginning."""
        return [span for span in self.spans if span.name == name]
