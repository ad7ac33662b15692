"""One request and its reply: what the outermost layer learns once, for everybody inside."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

from litestar.types import HTTPScope, Scope, Send

from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Cause, Failure
from tallystick.entrypoints.http.refusals import Fault

MAX_TARGET_BYTES = 8 * 1024
MAX_HEADER_BYTES = 32 * 1024
JSON = b"application/json"
REFUSED_BY_SERVER = "refused by the server"
"""What a request's state holds the failure under, where the server could not read the request."""
_CORRELATION_ID = re.compile(rb"[A-Za-z0-9_-]{1,64}\Z")


@dataclass(slots=True)
class RequestContext:
    """Facts of a request, and headers that its reply is to carry."""

    correlation_id: str
    headers: dict[bytes, bytes]
    peer: str
    principal: Principal | None = None
    code: str = ""
    """The code of the problem that is answered; empty where the answer is not a problem."""
    cause: Cause | None = None
    """Why the request could not be served now, which operators learn and callers do not."""
    sqlstate: str | None = None
    reply_headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """What is wrong with the parameters, while the body has still to be checked."""

    def record_failure(self, failure: Failure) -> None:
        """Keep for the log why the request is refused."""
        self.code, self.cause, self.sqlstate = failure.code, failure.failure_cause, failure.sqlstate


async def send_reply(
    send: Send, status: int, media_type: bytes, body: bytes, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Answer outside the framework."""
    all_headers = [(b"content-type", media_type), (b"content-length", b"%d" % len(body)), *headers]
    await send({"type": "http.response.start", "status": status, "headers": all_headers})
    await send({"type": "http.response.body", "body": body, "more_body": False})


def context_of(scope: Scope) -> RequestContext:
    """Return the request context that a scope belongs to."""
    return cast("RequestContext", scope["state"]["request_context"])


def headers_of(scope: HTTPScope) -> tuple[dict[bytes, bytes], int]:
    """Return the headers by name, and their bytes; one that came twice is joined, so that nobody sees half of it."""
    headers: dict[bytes, bytes] = {}
    size = 0
    for name, value in scope["headers"]:
        size += len(name) + len(value)
        if name in headers:
            value = headers[name] + (b"; " if name == b"cookie" else b", ") + value  # noqa: PLW2901  joined in place
        headers[name] = value
    return headers, size


def correlation_id_of(headers: dict[bytes, bytes]) -> str | None:
    """Return the caller's correlation id where it is one."""
    given = headers.get(b"x-correlation-id")
    return given.decode() if given is not None and _CORRELATION_ID.match(given) else None
