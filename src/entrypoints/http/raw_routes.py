"""Raw routes: ASGI handlers without the framework's handling, for frequent requests, and their documentation."""

import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

import msgspec
from litestar import asgi
from litestar.enums import ScopeType
from litestar.handlers import ASGIRouteHandler
from litestar.types import HTTPScope, Receive, Scope, Send

from tallystick.application.idempotency import RequestKey
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Failure, Unauthenticated
from tallystick.entrypoints.http.bodies import decode, read_body
from tallystick.entrypoints.http.caller_guard import CallerGuard
from tallystick.entrypoints.http.parameters import SHAPE, RequestShape
from tallystick.entrypoints.http.refusals import InvalidRequest, MethodNotAllowed
from tallystick.entrypoints.http.request_context import JSON, context_of, send_reply
from tallystick.entrypoints.http.requests import request_key

OPERATION = "operation"
"""The option of raw handlers that holds their operation."""


class RawOperation(msgspec.Struct, frozen=True):
    """The operation of a raw route, as the document describes it; the framework does not know it."""

    method: str
    name: str
    about: str | None
    """The docstring of the operation."""
    tag: str
    shape: RequestShape
    failures: Sequence[type[Failure]] = ()
    body: type[msgspec.Struct] | None = None
    """The type of the body; None if there is none."""
    is_body_required: bool = True
    answer: type[msgspec.Struct] | None = None
    """The type of a JSON reply; None where an option names the media types of the reply."""
    success_status: int = 200


def raw_method(options: Mapping[str, Any]) -> str | None:
    """Return the method of a raw handler, by its options; None for any other handler."""
    operation: RawOperation | None = options.get(OPERATION)
    return None if operation is None else operation.method


B = TypeVar("B", bound=msgspec.Struct)

_PARAMETER = re.compile(r"\{(\w+):")


class RawRequest:
    """A POST request of a raw route: the caller, the raw body, the idempotency key."""

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        self._scope, self._receive = scope, receive
        self._body: bytes | None = None
        self.context = context_of(scope)

    @property
    def principal(self) -> Principal:
        """The caller; Unauthenticated on a public route."""
        if self.context.principal is None:
            raise Unauthenticated
        return self.context.principal

    def parameter(self, name: str) -> str:
        """Return a path parameter."""
        value: str = self._scope["path_params"][name]
        return value

    async def body(self) -> bytes:
        """Return the raw body; failures as in `read_body`."""
        if self._body is None:
            self._body = await read_body(self._receive, self.context.headers)
        return self._body

    async def decoded(self, expected: type[B], *, may_be_absent: bool) -> B:
        """Return the body as the expected type; InvalidRequest lists the faults of the body and of the parameters."""
        body, faults = await self.body(), self.context.faults
        if body or not may_be_absent:
            return decode(body, expected, others=faults)
        if faults:
            raise InvalidRequest(faults)
        return expected()

    async def idempotency_key(self, at: datetime, *, success_status: int = 200) -> RequestKey | None:
        """Return the idempotency key of the request; None if the client sent none."""
        return await request_key(self._scope, self.body, at=at, success_status=success_status)


def raw_post(
    path: str,
    work: Callable[[RawRequest, B], Awaitable[msgspec.Struct]],
    *,
    caller_guard: CallerGuard,
    options: Mapping[str, Any],
    tag: str,
    body: type[B],
    answer: type[msgspec.Struct],
    failures: Sequence[type[Failure]],
    may_be_absent: bool = False,
    success_status: int = 200,
) -> ASGIRouteHandler:
    """Return a handler that answers POST with what `work` returns of a request and its body, as JSON.

    The caller guard reads `options`, as it reads those of other handlers. Where a body `may_be_absent`, no body is an
    empty object.
    """
    shape = RequestShape(path=frozenset(_PARAMETER.findall(path)), has_body=True, takes_key=True)
    documented = RawOperation(
        "POST",
        work.__name__,
        work.__doc__,
        tag,
        shape,
        failures,
        body,
        is_body_required=not may_be_absent,
        answer=answer,
        success_status=success_status,
    )
    checked = {**options, SHAPE: shape}

    @asgi(path, copy_scope=False, opt={OPERATION: documented, **checked})
    async def handle(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] != "POST":
            raise MethodNotAllowed
        await caller_guard.check(scope, checked)
        request = RawRequest(scope, receive)
        answered = await work(request, await request.decoded(body, may_be_absent=may_be_absent))
        await send_reply(send, success_status, JSON, msgspec.json.encode(answered))

    return handle
