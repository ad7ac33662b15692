"""The tracer of OpenTelemetry: which requests it records, and what it does where spans cannot be sent."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics, SeededRandomness
from tallystick.adapters.telemetry.otlp import QUEUE_SPANS, REQUESTS_PER_SECOND, BoundedQueue, OtlpTracer
from tests.http.collector import collecting, hanging

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
Open = Callable[..., OtlpTracer]


@contextmanager
def tracing(address: str, metrics: RecordedMetrics, *, ratio: float = 1.0) -> Iterator[tuple[OtlpTracer, ManualClock]]:
    clock = ManualClock()
    tracer = OtlpTracer(
        address,
        headers={"x-team": "ours"},
        ratio=ratio,
        version="1.2.3",
        clock=clock,
        randomness=SeededRandomness(),
        metrics=metrics,
    )
    try:
        yield tracer, clock
    finally:
        tracer.close()


def test_spans_of_a_request_reach_the_collector_with_their_relations() -> None:
    metrics = RecordedMetrics()
    with collecting() as collector:
        with tracing(f"{collector.address}/", metrics) as (tracer, _):
            first, second = tracer.request(None), tracer.request(None)
            assert first is not None
            assert second is not None
            with tracer.inside("purchase_rewards", [first, second]) as batch:
                assert batch is not None
                assert tracer.current() is batch
                call = batch.child("ledger.lock")
                call.note("tallystick.rows", 2)
                call.end()
            first.fail("INTERNAL_ERROR")
            first.end("GET /api/me")
            second.end("GET /api/me")
            second.end("twice")
            assert tracer.current() is None
        spans = collector.wait_for(lambda spans: len(spans) == 4)

    by_name = {span.name: span for span in spans}
    batch_span, call_span = by_name["purchase_rewards"], by_name["ledger.lock"]
    requests = [span for span in spans if span.name == "GET /api/me"]
    assert [span.parent_id for span in requests] == ["", ""]
    assert batch_span.parent_id in batch_span.links
    assert set(batch_span.links) == {span.span_id for span in requests}
    assert call_span.parent_id == batch_span.span_id
    assert call_span.facts == {"tallystick.rows": 2}
    assert [span.facts for span in requests if span.has_failed] == [{"error.type": "INTERNAL_ERROR"}]
    assert (collector.paths, collector.headers["x-team"]) == ({"/v1/traces"}, "ours")
    assert metrics.total("trace_spans_dropped") == 0


@pytest.mark.parametrize(
    ("traceparent", "is_recorded", "trace_id"),
    [
        (f"00-{TRACE}-{CALLER}-01", True, TRACE),
        (f"cc-{TRACE}-{CALLER}-03", True, TRACE),
        (f"00-{TRACE}-{CALLER}-00", False, None),
        (f"00-{TRACE}-{CALLER}-02", False, None),
        (f"ff-{TRACE}-{CALLER}-01", False, None),
        (f"00-{'0' * 32}-{CALLER}-01", False, None),
        (f"00-{TRACE}-{'0' * 16}-01", False, None),
        (f"00-{TRACE}-{CALLER}-01\n", False, None),
        (f"00-{TRACE.upper()}-{CALLER}-01", False, None),
        (f"00-{TRACE}-{CALLER}-01, 00-{TRACE}-{CALLER}-01", False, None),
        ("", False, None),
        (None, False, None),
    ],
)
def test_a_valid_traceparent_decides_and_anything_else_is_as_none(
    traceparent: str | None, is_recorded: bool, trace_id: str | None
) -> None:
    with collecting() as collector, tracing(collector.address, RecordedMetrics(), ratio=0.0) as (tracer, _):
        span = tracer.request(None if traceparent is None else traceparent.encode())

        assert (span is not None) is is_recorded
        if span is not None:
            span.end()
            (received,) = collector.wait_for(bool)
            assert (received.trace_id, received.parent_id) == (trace_id, CALLER)


def test_a_sample_of_the_requests_is_recorded() -> None:
    with hanging() as address, tracing(address, RecordedMetrics(), ratio=0.25) as (tracer, clock):
        recorded = 0
        for _ in range(4000):
            clock.move(timedelta(seconds=1))
            recorded += tracer.request(None) is not None

    assert 900 < recorded < 1100


def test_callers_cannot_have_more_requests_recorded_than_a_second_has_room_for() -> None:
    sampled = f"00-{TRACE}-{CALLER}-01".encode()
    with hanging() as address, tracing(address, RecordedMetrics(), ratio=0.0) as (tracer, clock):
        spans = [tracer.request(sampled) for _ in range(REQUESTS_PER_SECOND + 5)]
        clock.move(timedelta(seconds=1))
        later = tracer.request(sampled)

    assert [span is not None for span in spans] == [True] * REQUESTS_PER_SECOND + [False] * 5
    assert later is not None


class Stuck(SpanExporter):
    """An exporter that is stuck until the test lets it go, and then fails."""

    def __init__(self) -> None:
        self.has_begun, self.goes_on = threading.Event(), threading.Event()

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.has_begun.set()
        self.goes_on.wait()
        return SpanExportResult.FAILURE


def test_spans_beyond_the_queue_and_spans_that_are_not_sent_are_counted() -> None:
    metrics, exporter = RecordedMetrics(), Stuck()
    queue = BoundedQueue(exporter, metrics)
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(queue)
    tracer = provider.get_tracer("test")

    tracer.start_span("first").end()
    assert exporter.has_begun.wait(30)
    for _ in range(QUEUE_SPANS + 7):
        tracer.start_span("next").end()
    assert metrics.counts["trace_spans_dropped", "queue_full"] == 7

    exporter.goes_on.set()
    queue.shutdown()
    assert metrics.counts["trace_spans_dropped", "not_sent"] == QUEUE_SPANS + 1


def test_the_end_does_not_wait_for_a_collector_that_hangs() -> None:
    metrics = RecordedMetrics()
    with hanging() as address, tracing(address, metrics) as (tracer, _):
        span = tracer.request(None)
        assert span is not None
        span.end()
        ending = threading.Thread(target=tracer.close)
        ending.start()
        ending.join(30)

        assert not ending.is_alive()
