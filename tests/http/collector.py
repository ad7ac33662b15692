"""A collector of traces over loopback that decodes what it is sent, and one that accepts connections and is silent."""

import gzip
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span as WireSpan
from opentelemetry.proto.trace.v1.trace_pb2 import Status

WAIT_SECONDS = 30.0


class ReceivedSpan(NamedTuple):
    """One span as it came."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    """Empty for the first span of a trace."""
    links: tuple[str, ...]
    """The ids of the spans that it is linked with."""
    facts: dict[str, str | int]
    has_failed: bool


class Collector:
    """The spans and headers that a collector was sent."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._spans: list[ReceivedSpan] = []
        self.paths: set[str] = set()
        self.headers: dict[str, str] = {}
        self.raw = b""
        self._changed = threading.Condition()

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep the spans of one request."""
        with self._changed:
            self.paths.add(path)
            self.headers |= headers
            self.raw += body
            request = ExportTraceServiceRequest.FromString(body)
            for resource in request.resource_spans:
                for scope in resource.scope_spans:
                    self._spans += [_received(span) for span in scope.spans]
            self._changed.notify_all()

    def wait_for(self, is_enough: Callable[[list[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        """Return the spans as soon as they are enough."""
        spans = self.received_within(WAIT_SECONDS, is_enough)
        assert is_enough(spans), spans
        return spans

    def received_within(self, seconds: float, is_enough: Callable[[list[ReceivedSpan]], bool]) -> list[ReceivedSpan]:
        """Return the spans as soon as they are enough, or those that came in that time."""
        with self._changed:
            self._changed.wait_for(lambda: is_enough(self._spans), seconds)
            return [*self._spans]


def _received(span: WireSpan) -> ReceivedSpan:
    facts = {
        pair.key: pair.value.int_value if pair.value.HasField("int_value") else pair.value.string_value
        for pair in span.attributes
    }
    links = tuple(link.span_id.hex() for link in span.links)
    failed = span.status.code == Status.STATUS_CODE_ERROR
    return ReceivedSpan(
        span.name, span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex(), links, facts, failed
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """Run a collector."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            raw = gzip.decompress(body) if self.headers["content-encoding"] == "gzip" else body
            collector.take(self.path, {name.lower(): value for name, value in self.headers.items()}, raw)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the names are the package's
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector = Collector(f"http://127.0.0.1:{server.server_address[1]}")
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def hanging() -> Iterator[str]:
    """Return the address of a collector that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
