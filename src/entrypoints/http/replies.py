"""Replies: exceptions become problem documents, and stored replies are sent byte for byte."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import ExceptionHandlersMap, Send

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.idempotency import Replayed, RequestKey, StoredReply
from tallystick.application.ports import Metrics
from tallystick.domain.refusals import Failure, Refusal
from tallystick.entrypoints.http.bodies import MAX_BODY_BYTES, ClientGone
from tallystick.entrypoints.http.problems import PROBLEM_JSON, problem_body, problem_headers, status_of
from tallystick.entrypoints.http.refusals import (
    BodyTooLarge,
    Fault,
    InternalError,
    InvalidRequest,
    MethodNotAllowed,
    RouteNotFound,
)
from tallystick.entrypoints.http.request_context import RequestContext, context_of, send_reply

HIT = {"idempotency-hit": "true"}
RAW_HIT = (b"idempotency-hit", b"true")
_FIRST_REFUSAL, _FIRST_FAILURE = 400, 500
_TRANSLATED: Mapping[type[HTTPException], Callable[[], Failure]] = {
    NotFoundException: RouteNotFound,
    MethodNotAllowedException: MethodNotAllowed,
    RequestEntityTooLarge: lambda: BodyTooLarge(MAX_BODY_BYTES),
}


class WireEncoder:
    """Renders outcomes as handlers will send them, so that a reply can be stored before it is sent.

    `forms` turns outcomes into their wire structs where the wire differs.
    """

    def __init__(self, forms: Mapping[type, Callable[[Any], object]]) -> None:
        self._forms = forms

    def __call__(self, outcome: object, key: RequestKey, /) -> StoredReply:
        """Return the reply to store for a success or a refusal."""
        if isinstance(outcome, Refusal):
            return StoredReply(key.fingerprint, status_of(outcome), problem_body(outcome, key.correlation_id))
        form = self._forms.get(type(outcome))
        body = msgspec.json.encode(form(outcome) if form is not None else outcome)
        return StoredReply(key.fingerprint, key.success_status, body)


def exception_handlers(metrics: Metrics) -> ExceptionHandlersMap:
    """Return the exception handlers, by type of exception."""

    def on_failure(request: Request, failure: Failure) -> Response[bytes]:  # type: ignore[type-arg]  # any request
        return _problem(request, failure)

    def on_replay(request: Request, replay: Replayed) -> Response[bytes]:  # type: ignore[type-arg]  # any request
        metrics.count("idempotency_hits")
        reply = replay.reply
        context_of(request.scope).code = _code(reply)
        return Response(reply.body, status_code=reply.status, media_type=_media_type(reply), headers=HIT)

    def on_framework(request: Request, error: HTTPException) -> Response[bytes]:  # type: ignore[type-arg]  # any request
        return _problem(request, _from_framework(error))

    def on_anything(request: Request, error: Exception) -> Response[bytes]:  # type: ignore[type-arg]  # any request
        if isinstance(error, ClientGone):
            raise error
        logger().error("request failed", correlation_id=context_of(request.scope).correlation_id, error=error)
        return _problem(request, InternalError())

    return {Failure: on_failure, Replayed: on_replay, HTTPException: on_framework, Exception: on_anything}


async def send_replay(replay: Replayed, metrics: Metrics, context: RequestContext, send: Send) -> None:
    """Answer with a stored reply, outside the framework."""
    metrics.count("idempotency_hits")
    reply = replay.reply
    context.code = _code(reply)
    await send_reply(send, reply.status, _media_type(reply).encode(), reply.body, [RAW_HIT])


class _Coded(msgspec.Struct):
    """The member of a stored problem that is logged."""

    code: str = ""


def _code(reply: StoredReply) -> str:
    return msgspec.json.decode(reply.body, type=_Coded).code if reply.status >= _FIRST_REFUSAL else ""


def _media_type(reply: StoredReply) -> str:
    return "application/json" if reply.status < _FIRST_REFUSAL else PROBLEM_JSON


def _problem(request: Request, failure: Failure) -> Response[bytes]:  # type: ignore[type-arg]  # any request
    context = context_of(request.scope)
    context.record_failure(failure)
    return Response(
        problem_body(failure, context.correlation_id),
        status_code=status_of(failure),
        media_type=PROBLEM_JSON,
        headers=problem_headers(failure),
    )


def _from_framework(error: HTTPException) -> Failure:
    """Translate the framework's exceptions. Their texts repeat what the client sent, and are dropped."""
    for kind, failure in _TRANSLATED.items():
        if isinstance(error, kind):
            return failure()
    if error.status_code < _FIRST_FAILURE:
        return InvalidRequest([Fault("path", name="", message="the request cannot be understood")])
    return InternalError()
