"""Streams on the wire: server-sent events (HTML standard, 9.2), whose status is always 200 once a client may retry.

A browser gives up for ever on any other status.
"""

from datetime import datetime
from typing import Literal

import msgspec
from litestar.types import Receive, Send

from tallystick.application.ports import Clock, Randomness
from tallystick.application.stream_frames import Events
from tallystick.application.streams import End, Heads, Part, Reset, Stream
from tallystick.domain.streams import EndReason
from tallystick.domain.topics import TopicEventKind, TopicId
from tallystick.entrypoints.http.bodies import ClientGone
from tallystick.entrypoints.http.caching import NO_STORE
from tallystick.entrypoints.http.request_context import RequestContext

BUSY_STATUSES = frozenset({429, 503})
"""The statuses that become a stream which ends at once."""

_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store, no-transform"),
    (b"x-accel-buffering", b"no"),
)
_SHORTEST_RETRY_MS, _RETRY_SPREAD_MS = 2000, 3000


class HeadData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of `ready` and `head`: the numbers up to which everything was sent."""

    heads: dict[TopicId, int]
    server_time: datetime
    head: int | None = None
    """The number, where the stream has one topic."""


class ResetData(msgspec.Struct, frozen=True):
    """The data of `reset`: load the topic again, up to the head, which this stream goes on from."""

    topic_id: TopicId
    reason: str
    """Why the id does not fit."""
    head: int
    """The number of the last event of the topic."""


class ByeData(msgspec.Struct, frozen=True):
    """The data of `bye`, the last event of a stream that the server ends."""

    reason: EndReason
    """Why the server ends the stream."""


async def send_stream(
    stream: Stream, context: RequestContext, send: Send, *, clock: Clock, randomness: Randomness
) -> None:
    """Send a stream to its end; each write waits until the connection has room."""
    await _begin(context, send, randomness)
    async for part in stream.parts():
        await send({"type": "http.response.body", "body": _encoded(part, clock), "more_body": True})
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def end_with_client(stream: Stream, receive: Receive) -> None:
    """End a stream when its client has closed the connection."""
    try:
        while (await receive())["type"] != "http.disconnect":
            pass
    except ClientGone:
        pass
    stream.end("client_left")


async def send_end(context: RequestContext, send: Send, reason: EndReason, randomness: Randomness) -> None:
    """Send a stream that ends at once, so that the client comes again.

    The connection is closed too: clients that come again would otherwise keep the open files that streams lack.
    """
    context.reply_headers.append((b"connection", b"close"))
    await _begin(context, send, randomness)
    await send({"type": "http.response.body", "body": server_sent("bye", ByeData(reason)), "more_body": False})


async def _begin(context: RequestContext, send: Send, randomness: Randomness) -> None:
    context.is_stream = True
    context.reply_headers.remove(NO_STORE)
    await send({"type": "http.response.start", "status": 200, "headers": [*_HEADERS]})
    retry = _SHORTEST_RETRY_MS + int(_RETRY_SPREAD_MS * randomness.fraction())
    await send({"type": "http.response.body", "body": b"retry: %d\n\n" % retry, "more_body": True})


def _encoded(part: Part, clock: Clock) -> bytes:
    match part:
        case Events():
            if part.encoded is None:
                part.encoded = b"".join(b"id: %b\n%b" % frame for frame in part.frames)
            return part.encoded
        case Heads(position, by_topic, is_ready):
            head = next(iter(by_topic.values())) if len(by_topic) == 1 else None
            event = server_sent("ready" if is_ready else "head", HeadData(by_topic, clock.now(), head))
            return b"id: %b\n%b" % (position, event) if is_ready else event
        case Reset(topic_id, reason, head):
            return server_sent("reset", ResetData(topic_id, reason, head))
        case End(reason):
            return server_sent("bye", ByeData(reason))


def server_sent(name: TopicEventKind | Literal["ready", "head", "reset", "bye"], data: msgspec.Struct) -> bytes:
    """Return one event without its id."""
    return b"event: %b\ndata: %b\n\n" % (name.encode(), msgspec.json.encode(data))
