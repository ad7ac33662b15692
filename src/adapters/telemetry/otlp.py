"""Traces by OpenTelemetry, sent to a collector by OTLP over HTTP. Only a process that traces imports this module."""

import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as ApiSpan
from opentelemetry.trace import Tracer as ApiTracer

from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.tracing import Span, SpanFact, Tracer

REQUESTS_PER_SECOND = 100
"""How many requests of a process are recorded a second: a caller who asks for traces must not slow down the others."""
QUEUE_SPANS = 4096
_BATCH_SPANS = 512
_MAX_LINKS = 256
"""As many as a batch has commands."""
_SEND_SECONDS = 5.0
_CLOSE_SECONDS = 2.0
"""Less than the server gives to its end."""
_TRACEPARENT = re.compile(rb"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})\Z")
_CURRENT: ContextVar["OtlpSpan | None"] = ContextVar("the current span", default=None)


class OtlpSpan(Span):
    """A span of OpenTelemetry."""

    __slots__ = ("_tracer", "inner")

    def __init__(self, tracer: ApiTracer, inner: ApiSpan) -> None:
        self._tracer, self.inner = tracer, inner

    @property
    def is_open(self) -> bool:
        """Whether the span has not ended."""
        return self.inner.is_recording()

    def child(self, name: str) -> "OtlpSpan":
        return OtlpSpan(self._tracer, self._tracer.start_span(name, context=set_span_in_context(self.inner)))

    def note(self, fact: SpanFact, value: str | int) -> None:
        self.inner.set_attribute(fact, value)

    def fail(self, error: str) -> None:
        self.inner.set_attribute("error.type", error)
        self.inner.set_status(Status(StatusCode.ERROR))

    def end(self, name: str | None = None) -> None:
        if self.is_open:
            if name is not None:
                self.inner.update_name(name)
            self.inner.end()


class OtlpTracer(Tracer):
    """Records a sample of the requests, and sends their spans in a thread of its own.

    A span is dropped where the queue is full or the collector does not take it; `trace_spans_dropped` counts these.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        headers: Mapping[str, str],
        ratio: float,
        version: str,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
    ) -> None:
        """`endpoint` is the address of the collector without the path of traces."""
        exporter = OTLPSpanExporter(
            f"{endpoint.rstrip('/')}/v1/traces",
            headers={**headers},
            timeout=_SEND_SECONDS,
            compression=Compression.Gzip,
        )
        self._queue = BoundedQueue(exporter, metrics)
        provider = TracerProvider(
            sampler=ALWAYS_ON,  # requests are sampled here, before they cost anything
            resource=Resource({"service.name": "tallystick", "service.version": version}),
            span_limits=SpanLimits(max_links=_MAX_LINKS),
            shutdown_on_exit=False,
        )
        provider.add_span_processor(self._queue)
        self._tracer = provider.get_tracer("tallystick", version)
        self._ratio, self._clock, self._randomness = ratio, clock, randomness
        self._second, self._begun = 0, 0

    def current(self) -> OtlpSpan | None:
        span = _CURRENT.get()
        return span if span is not None and span.is_open else None

    def request(self, traceparent: bytes | None) -> OtlpSpan | None:
        caller = _TRACEPARENT.match(traceparent) if traceparent is not None else None
        is_sampled = int(caller[3], 16) & 1 if caller is not None else self._randomness.fraction() < self._ratio
        if not is_sampled or not self._has_room():
            return None
        remote = None if caller is None else _remote(int(caller[1], 16), int(caller[2], 16))
        context = None if remote is None else set_span_in_context(NonRecordingSpan(remote))
        span = OtlpSpan(self._tracer, self._tracer.start_span("request", context=context, kind=SpanKind.SERVER))
        _CURRENT.set(span)
        return span

    @contextmanager
    def inside(self, name: str, parents: Sequence[Span]) -> Iterator[OtlpSpan | None]:
        outside = _CURRENT.set(span := self._begin(name, parents))
        try:
            yield span
        except BaseException as error:
            if span is not None:
                span.fail(type(error).__name__)
            raise
        finally:
            _CURRENT.reset(outside)
            if span is not None:
                span.end()

    def close(self) -> None:
        """Send the spans that wait, for a bounded time. It blocks: call it in a thread."""
        self._queue.shutdown()

    def _begin(self, name: str, parents: Sequence[Span]) -> OtlpSpan | None:
        spans = [parent.inner for parent in parents if isinstance(parent, OtlpSpan)]
        if not spans:
            return None
        links = [Link(span.get_span_context()) for span in spans] if len(spans) > 1 else []
        return OtlpSpan(self._tracer, self._tracer.start_span(name, context=set_span_in_context(spans[0]), links=links))

    def _has_room(self) -> bool:
        second = int(self._clock.monotonic())
        if second != self._second:
            self._second, self._begun = second, 0
        self._begun += 1
        return self._begun <= REQUESTS_PER_SECOND


class BoundedQueue(SpanProcessor):
    """A queue of ended spans in front of an exporter; it counts the spans that it drops."""

    def __init__(self, exporter: SpanExporter, metrics: Metrics) -> None:
        self._metrics = metrics
        self._exporter = _CountingExporter(exporter, metrics)
        self._batches = BatchSpanProcessor(
            self._exporter, max_queue_size=QUEUE_SPANS, max_export_batch_size=_BATCH_SPANS, schedule_delay_millis=1000
        )
        self._queued = 0

    def on_end(self, span: ReadableSpan) -> None:
        if self._queued - self._exporter.taken >= QUEUE_SPANS:
            self._metrics.count("trace_spans_dropped", label="queue_full")
            return
        self._queued += 1
        self._batches.on_end(span)

    def shutdown(self) -> None:
        """Send the spans that wait; those that are left after `_CLOSE_SECONDS` are dropped."""
        # The package waits for half a minute, where a collector accepts connections and says nothing.
        ending = threading.Thread(target=self._batches.shutdown, name="send the last spans", daemon=True)
        ending.start()
        ending.join(_CLOSE_SECONDS)
        self._exporter.shutdown()


class _CountingExporter(SpanExporter):
    """An exporter that counts the spans that it was given, and those that were not sent."""

    def __init__(self, inner: SpanExporter, metrics: Metrics) -> None:
        self._inner, self._metrics = inner, metrics
        self.taken = 0
        self._is_closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.taken += len(spans)
        result = self._inner.export(spans)
        if result is not SpanExportResult.SUCCESS:
            self._metrics.count("trace_spans_dropped", len(spans), label="not_sent")
        return result

    def shutdown(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._inner.shutdown()


def _remote(trace_id: int, span_id: int) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))
