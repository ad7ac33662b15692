"""The request boundary, the outermost layer: correlation id, bounds, metrics, and a reply to every failure."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from time import perf_counter
from typing import cast

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Randomness
from tallystick.application.tracing import SILENT, Tracer
from tallystick.domain.refusals import Failure, Overloaded
from tallystick.entrypoints.http.bodies import ClientGone
from tallystick.entrypoints.http.caching import NO_STORE, cached_for_five_minutes
from tallystick.entrypoints.http.cors import Cors
from tallystick.entrypoints.http.event_streams import BUSY_STATUSES, send_end
from tallystick.entrypoints.http.framing import framing_fault, whole_body
from tallystick.entrypoints.http.functions.replies import with_function_errors
from tallystick.entrypoints.http.problems import send_problem, status_of
from tallystick.entrypoints.http.refusals import (
    HeadersTooLarge,
    InternalError,
    RouteNotFound,
    UriTooLong,
)
from tallystick.entrypoints.http.request_context import (
    MAX_HEADER_BYTES,
    MAX_TARGET_BYTES,
    REFUSED_BY_SERVER,
    RequestContext,
    context_of,
    correlation_id_of,
    headers_of,
)
from tallystick.entrypoints.http.request_log import RequestLog

MAX_IN_FLIGHT = 8192
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_DOCUMENTATION = "/schema"
_METHOD_NOT_ALLOWED = 405


class RequestBoundary:
    """Wraps the application, and answers for it when it fails."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        log: RequestLog,
        randomness: Randomness,
        cors: Cors,
        methods: Callable[[str], Collection[str]],
        is_stream: Callable[[str], bool],
        tracer: Tracer = SILENT,
    ) -> None:
        self._app, self._log, self._randomness, self._cors, self._methods = app, log, randomness, cors, methods
        self._tracer, self._is_stream = tracer, is_stream
        self._in_flight = 0

    @property
    def in_flight(self) -> int:
        """The number of requests that are being answered; a stream is left out once its answer has begun."""
        return self._in_flight

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        headers, header_bytes = headers_of(scope)
        context = self._context(scope, headers)
        status = 0
        send = cached_for_five_minutes(send, headers) if _is_documentation(scope) else send
        send = with_function_errors(send, scope["path"])

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                self._begin_stream(scope, context, status)
                message["headers"] = [*message.get("headers", ()), *context.reply_headers]
                if status == _METHOD_NOT_ALLOWED:
                    message["headers"] = self._with_allow(scope["path"], message["headers"])
            await send(message)

        self._in_flight += 1
        try:
            failure = self._failure(scope, headers, header_bytes)
            if failure is not None:
                await self._refuse(failure, scope, send_with_headers)
            else:
                await self._serve(scope, receive, send_with_headers)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            logger().warning("request cut off by the end of the server", correlation_id=context.correlation_id)
            raise
        except Exception as error:  # noqa: BLE001  no layer further out could answer
            logger().error("request failed", correlation_id=context.correlation_id, error=error)
            if not status:
                await send_problem(InternalError(), context, send_with_headers)
        finally:
            self._in_flight -= not (context.is_stream and status)
            self._log.record(scope, context, status, perf_counter() - started)

    async def _refuse(self, failure: Failure, scope: HTTPScope, send: Send) -> None:
        context = context_of(scope)
        if status_of(failure) in BUSY_STATUSES and self._is_stream(scope["path"]):
            context.record_failure(failure)
            await send_end(context, send, "busy", self._randomness)
        else:
            await send_problem(failure, context, send)

    def _begin_stream(self, scope: HTTPScope, context: RequestContext, status: int) -> None:
        """Take a stream out of the requests in flight, and end its span: it stays open for hours."""
        if context.is_stream:
            self._in_flight -= 1
            self._log.trace(scope, context, status)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        context = context_of(scope)
        receive = whole_body(receive, scope, context.headers)
        if scope["method"] == "OPTIONS":
            await self._answer_options(scope, context, send)
        elif scope["method"] == "HEAD":
            # HEAD is GET without its body. The server decides by its own scope, which therefore stays as it is.
            inner = cast("HTTPScope", {**scope, "method": "GET"})
            context.is_head = True
            try:
                await self._app(inner, receive, _without_body(send))
            finally:
                scope["path_template"] = inner.get("path_template", "")
        else:
            await self._app(scope, receive, send)

    def _context(self, scope: HTTPScope, headers: dict[bytes, bytes]) -> RequestContext:
        correlation_id = correlation_id_of(headers) or self._randomness.bytes(16).hex()
        client = scope["client"]
        context = RequestContext(correlation_id, headers, client[0] if client else "")
        context.span = self._tracer.request(headers.get(b"traceparent"))
        context.reply_headers += ((b"x-correlation-id", correlation_id.encode()), _NO_SNIFFING)
        context.reply_headers += self._cors.headers(headers.get(b"origin"))
        if not _is_documentation(scope):
            context.reply_headers.append(NO_STORE)
        scope.setdefault("state", {})["request_context"] = context
        return context

    def _failure(self, scope: HTTPScope, headers: dict[bytes, bytes], header_bytes: int) -> Failure | None:
        """Return the failure of a request that is rejected before the application sees it."""
        if REFUSED_BY_SERVER in scope["state"]:
            return cast("Failure", scope["state"][REFUSED_BY_SERVER])
        if self._in_flight > MAX_IN_FLIGHT:
            return Overloaded(cause="in_flight")
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            return UriTooLong(MAX_TARGET_BYTES)
        if header_bytes > MAX_HEADER_BYTES:
            return HeadersTooLarge(MAX_HEADER_BYTES)
        return framing_fault(scope["http_version"], headers)

    async def _answer_options(self, scope: HTTPScope, context: RequestContext, send: Send) -> None:
        """Answer OPTIONS with the methods of a path, and with CORS headers for an allowed origin."""
        preflight = self._cors.preflight(context.headers)
        allow = self._allow(scope["path"])
        if not allow and preflight is None:
            await send_problem(RouteNotFound(), context, send)
            return
        headers = [*([(b"allow", allow)] if allow else []), *(preflight or ())]
        await send({"type": "http.response.start", "status": 204, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _with_allow(self, path: str, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        return [*(header for header in headers if header[0].lower() != b"allow"), (b"allow", self._allow(path))]

    def _allow(self, path: str) -> bytes:
        return ", ".join(sorted(self._methods(path))).encode()


def _is_documentation(scope: HTTPScope) -> bool:
    return scope["path"].startswith(_DOCUMENTATION)


def _without_body(send: Send) -> Send:
    """Return a `send` that drops the body of a reply and keeps its headers."""
    is_over = False

    async def send_head(message: Message) -> None:
        nonlocal is_over
        if is_over:
            return
        if message["type"] == "http.response.body":
            is_over = True
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await send(message)

    return send_head
