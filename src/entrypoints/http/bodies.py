"""Request bodies: bounded in size and time, strict JSON, decoded to the type that the handler expects."""

import asyncio
from collections.abc import Awaitable, Coroutine, Generator, Mapping, Sequence
from typing import Any, TypeVar, cast

import msgspec
from litestar.types import Receive

from tallystick.entrypoints.http.faults import faults_of
from tallystick.entrypoints.http.refusals import BodyTooLarge, BodyTooSlow, Fault, InvalidRequest, UnsupportedMediaType
from tallystick.entrypoints.http.rules import keeps_rules
from tallystick.entrypoints.http.strict_json import parse

T = TypeVar("T")

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 15.0
_MOST_DIGITS = 20


class ClientGone(Exception):
    """The client disconnected before its body had arrived, so that no answer can be sent."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], *, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the body; BodyTooLarge, BodyTooSlow, or UnsupportedMediaType for a body that is not JSON."""
    announced = headers.get(b"content-length", b"0")
    if not announced.isdigit() or len(announced) > _MOST_DIGITS or int(announced) > limit:
        raise BodyTooLarge(limit)
    if headers.get(b"content-length") == b"0" and b"transfer-encoding" not in headers:
        return b""
    body = await _in_time(_read(receive, limit))
    if body and not is_json(headers.get(b"content-type", b"")):
        raise UnsupportedMediaType
    return body


async def _read(receive: Receive, limit: int) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientGone
        body += event["body"]
        if len(body) > limit:
            raise BodyTooLarge(limit)
        if not event.get("more_body", False):
            return bytes(body)


async def _in_time(reading: Coroutine[Any, Any, bytes]) -> bytes:
    """Return what is read. A body that has arrived already, as nearly all have, needs no timer."""
    try:
        waiting = reading.send(None)
    except StopIteration as done:
        return cast("bytes", done.value)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _Begun(reading, waiting)
    except TimeoutError:
        raise BodyTooSlow from None


class _Begun(Awaitable[bytes]):
    """The rest of a coroutine whose first step was run by hand, with the future that it waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, bytes], waiting: object) -> None:
        self._coroutine, self._waiting = coroutine, waiting

    def __await__(self) -> Generator[Any, Any, bytes]:
        waiting = self._waiting
        while True:
            try:
                try:
                    given = yield waiting
                except BaseException as error:  # noqa: BLE001  the coroutine handles its cancellation
                    waiting = self._coroutine.throw(error)
                else:
                    waiting = self._coroutine.send(given)
            except StopIteration as done:
                return cast("bytes", done.value)


def is_json(content_type: bytes) -> bool:
    """Return whether a Content-Type header names JSON. Its parameters are ignored: JSON is always UTF-8."""
    return content_type.split(b";", 1)[0].strip().lower() == b"application/json"


def decode(body: bytes, expected: type[T], *, others: Sequence[Fault] = ()) -> T:
    """Return the body as the type that is expected.

    InvalidRequest lists `others`, the known faults of the rest of the request, and then every fault of the body.
    """
    try:
        value = parse(body)
    except InvalidRequest as refused:
        raise InvalidRequest([*others, *refused.errors]) from None
    try:
        converted = msgspec.convert(value, expected)
    except msgspec.ValidationError:
        raise InvalidRequest([*others, *_faults(value, expected)]) from None
    if not keeps_rules(converted, expected):
        raise InvalidRequest([*others, *_faults(value, expected)])
    if others:
        raise InvalidRequest(others)
    return converted


def _faults(value: object, expected: Any) -> list[Fault]:
    return faults_of(value, expected) or [Fault.at("", "it does not have the shape that the documentation states")]
