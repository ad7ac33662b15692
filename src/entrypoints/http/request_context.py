"""The context of one request: what the request boundary reads once, and every layer inside uses."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from litestar.types import HTTPScope, Scope, Send

from tallystick.application.tracing import Span
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Cause, Failure
from tallystick.entrypoints.http.refusals import Fault

MAX_TARGET_BYTES = 8 * 1024
MAX_HEADER_BYTES = 32 * 1024
JSON = b"application/json"
REFUSED_BY_SERVER = "refused by the server"
"""The key of a request's state that holds the failure, if the server could not parse the request."""
_CORRELATION_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}\Z")


@dataclass(slots=True)
class RequestContext:
    """Facts of a request, and further headers of its reply."""

    correlation_id: str
    headers: dict[bytes, bytes]
    peer: str
    principal: Principal | None = None
    code: str = ""
    """The code of the problem that was sent; empty for any other reply."""
    cause: Cause | None = None
    """Why the request could not be served now; it is logged and not sent."""
    sqlstate: str | None = None
    reply_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_stream: bool = False
    """True for a reply that stays open: it is neither timed nor one of the requests in flight."""
    span: Span | None = None
    """The span of the request, where it is recorded in a trace."""
    is_head: bool = False
    """True for HEAD, which is answered as GET without its body."""
    is_counted: bool = False
    """True once the request was counted: the route that carries out a function counts it no second time."""
    faults: list[Fault] = field(default_factory=list)
    """The faults of the parameters, until the body is checked too."""

    def record_failure(self, failure: Failure) -> None:
        """Note for the log why the request failed."""
        self.code, self.cause, self.sqlstate = failure.code, failure.failure_cause, failure.sqlstate


async def send_reply(
    send: Send, status: int, media_type: bytes, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a reply without the framework."""
    all_headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def context_of(scope: Scope) -> RequestContext:
    """Return the context of a scope's request."""
    return cast("RequestContext", scope["state"]["request_context"])


def headers_of(scope: HTTPScope) -> tuple[dict[bytes, bytes], int]:
    """Return the headers by name, and their size in bytes. Headers of one name are joined into one value."""
    headers: dict[bytes, bytes] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in headers:
            value = headers[name] + (b"; " if name == b"cookie" else b", ") + value  # noqa: PLW2901  joined in place
        headers[name] = value
    return headers, size


def correlation_id_of(headers: dict[bytes, bytes]) -> str | None:
    """Return the correlation id that the caller sent, if it is valid."""
    given = headers.get(b"x-correlation-id")
    return given.decode() if given is not None and _CORRELATION_ID.match(given) else None
