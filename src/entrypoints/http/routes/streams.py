"""Streams: events of channels and overlays, pushed to readers; a cookie for browsers, which send no headers here."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, Router, asgi, post
from litestar.datastructures import Cookie
from litestar.enums import ScopeType
from litestar.params import JSONBody
from litestar.types import HTTPScope, Receive, Scope, Send

from tallystick.adapters.identity.stream_tokens import StreamTokens
from tallystick.application.ports import Clock, Randomness
from tallystick.application.stream_hub import Hub, StreamRefused
from tallystick.domain.channels import ChannelNotFound, NotAMember
from tallystick.domain.overlays import OVERLAYS
from tallystick.domain.refusals import Failure, Unauthenticated
from tallystick.domain.streams import MAX_TOPICS
from tallystick.domain.topics import TopicId
from tallystick.entrypoints.http.authentication import STREAM, STREAM_COOKIE
from tallystick.entrypoints.http.caller_guard import LIMIT, CallerGuard
from tallystick.entrypoints.http.document.documented_routes import DOCUMENTED_REPLY, REPLY_HEADERS
from tallystick.entrypoints.http.event_streams import end_with_client, send_end, send_stream
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.parameters import KEYLESS, SHAPE, RequestShape
from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation
from tallystick.entrypoints.http.refusals import MethodNotAllowed
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest, Nothing
from tallystick.entrypoints.http.routes.frames import STREAM_EVENTS

_EVENTS = (
    "The events `message`, `message_deleted`, `member_added` and `member_removed` of a channel, and `overlay_shown`, "
    "`overlay_updated`, `overlay_expired` and `overlay_removed` of overlays, follow their numbers. `ready` says "
    "that everything from here on will arrive, `head` is the heartbeat, `reset` says that the id does not fit and the "
    "topic has to be loaded again, and `bye` names the reason before the server ends the stream. Where requests are "
    "limited or the server is busy, the answer is a stream with `bye`, which a browser opens again."
)


class StreamSession(msgspec.Struct, frozen=True):
    """The end of the cookie of streams, which was set."""

    expires_at: datetime
    """The end of the cookie."""


def streams_router(
    hub: Hub,
    tokens: StreamTokens,
    caller_guard: CallerGuard,
    addresses: Addresses,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of streams."""
    of_a_channel = _options(
        "stream_channel",
        "Stream the events of a channel of the caller.",
        RequestShape(path=frozenset({"channel_id"}), query=frozenset({"after"}), texts=frozenset({"after"})),
    )
    of_topics = _options(
        "stream_topics",
        "Stream the events of several channels over one connection.",
        RequestShape(
            query=frozenset({"after", "topic"}),
            required=frozenset({"topic"}),
            texts=frozenset({"after"}),
            repeated={"topic": MAX_TOPICS},
        ),
    )

    of_overlays = _options(
        "stream_overlays",
        "Stream the events of all overlays.",
        RequestShape(query=frozenset({"after"}), texts=frozenset({"after"})),
        (),
    )

    @asgi("/api/channels/{channel_id:str}/stream", copy_scope=False, opt=of_a_channel)
    async def stream_channel(scope: Scope, receive: Receive, send: Send) -> None:
        checked = await _checked(caller_guard, scope, of_a_channel)
        await _serve(checked, [TopicId(scope["path_params"]["channel_id"])], receive, send)

    @asgi("/api/streams", copy_scope=False, opt=of_topics)
    async def stream_topics(scope: Scope, receive: Receive, send: Send) -> None:
        checked = await _checked(caller_guard, scope, of_topics)
        await _serve(checked, [TopicId(topic) for topic in _query(checked, "topic")], receive, send)

    @asgi("/api/overlays/stream", copy_scope=False, opt=of_overlays)
    async def stream_overlays(scope: Scope, receive: Receive, send: Send) -> None:
        await _serve(await _checked(caller_guard, scope, of_overlays), [OVERLAYS], receive, send)

    @post(
        "/api/streams/session",
        status_code=200,
        guards=[caller_guard.guard],
        opt={KEYLESS: True, REPLY_HEADERS: ("Set-Cookie",)},
    )
    async def start_stream_session(
        request: ApiRequest,
        data: JSONBody[Nothing | None] = None,  # noqa: ARG001  checked
    ) -> Response[StreamSession]:
        """Set a cookie that reads streams and does nothing else, for an hour at most.

        Browsers send no headers with a stream. The cookie ends with the token or the session of the caller.
        """
        token, seconds = tokens.issue(request.user)
        cookie = Cookie(
            key=STREAM_COOKIE,
            value=token,
            path="/api",
            max_age=seconds,
            httponly=True,
            secure=addresses.is_secure,
            samesite="none" if addresses.is_secure else "lax",
        )
        expires_at = datetime.fromtimestamp(int(clock.now().timestamp()) + seconds, UTC)
        return Response(StreamSession(expires_at), status_code=200, cookies=[cookie])

    async def _serve(scope: HTTPScope, topic_ids: Sequence[TopicId], receive: Receive, send: Send) -> None:
        context = context_of(scope)
        if context.principal is None:
            raise Unauthenticated
        try:
            stream = await hub.open(context.principal, topic_ids, _resume(scope))
        except StreamRefused as refusal:
            await send_end(context, send, refusal.reason, randomness)
            return
        watch = asyncio.create_task(end_with_client(stream, receive))
        try:
            if context.is_head:
                stream.end("client_left")
            await send_stream(stream, context, send, clock=clock, randomness=randomness)
        finally:
            hub.close(stream)
            watch.cancel()

    return Router(
        "", route_handlers=[stream_channel, stream_topics, stream_overlays, start_stream_session], tags=["Streams"]
    )


async def _checked(caller_guard: CallerGuard, scope: Scope, options: Mapping[str, Any]) -> HTTPScope:
    if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
        raise MethodNotAllowed
    await caller_guard.check(scope, options)
    return scope


def _options(
    name: str,
    about: str,
    shape: RequestShape,
    failures: Sequence[type[Failure]] = (ChannelNotFound, NotAMember),
) -> dict[str, Any]:
    return {
        OPERATION: RawOperation("GET", name, f"{about}\n\n{_EVENTS}", "Streams", shape, failures),
        STREAM: True,
        LIMIT: "stream",
        SHAPE: shape,
        DOCUMENTED_REPLY: {"text/event-stream": STREAM_EVENTS},
        REPLY_HEADERS: ("X-Accel-Buffering",),
    }


def _query(scope: HTTPScope, name: str) -> list[str]:
    """Return the values of a parameter of a query that the caller guard has checked."""
    return [value for each, value in parse_qsl(scope["query_string"].decode("ascii")) if each == name]


def _resume(scope: HTTPScope) -> str | None:
    """Return the id behind which the client wants to go on; None where it sends none."""
    given = context_of(scope).headers.get(b"last-event-id", b"").decode("latin-1")
    return given or next(iter(_query(scope, "after")), None)
