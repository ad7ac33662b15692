"""Request bodies: bounded in size and time, strict JSON, decoded to the type that a handler asks for."""

import asyncio
import json
import re
from collections.abc import Awaitable, Coroutine, Generator, Mapping
from typing import Any, NoReturn, TypeVar, cast

import msgspec
from litestar.types import Receive

from entrypoints.http.refusals import BodyTooLarge, BodyTooSlow, Fault, InvalidRequest, UnsupportedMediaType

T = TypeVar("T")

MAX_BODY_BYTES = 64 * 1024
BODY_SECONDS = 15.0
MAX_NESTING = 32
_MOST_DIGITS = 20

# A string without an end is taken whole: trying again behind each of its quotes would be quadratic.
_STRING_OR_BRACKET = re.compile(r'"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\]{}]', re.DOTALL)
_PLACE = re.compile(r" - at `([^`]*)`\Z")
_STEP = re.compile(r"\.([^.\[]+)|\[(\d+)\]")
# A field's name is repeated where it can be one; an address, a number or a code is none.
_TICKED = re.compile(r"`([^`]*)`")
_NAME = re.compile(r"[a-z][A-Za-z_]{0,63}(?: \| [a-z]{1,16})*\Z")
_QUOTED_VALUE = re.compile(r"'[^']*'")


class ClientGone(Exception):
    """The client went away before its body had arrived; nobody is there to answer."""


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], *, limit: int = MAX_BODY_BYTES) -> bytes:
    """Return the body; BodyTooLarge, BodyTooSlow, or UnsupportedMediaType where there is one that is not JSON."""
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
    body = b""
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise ClientGone
        body += event["body"]
        if len(body) > limit:
            raise BodyTooLarge(limit)
        if not event.get("more_body", False):
            return body


async def _in_time(reading: Coroutine[Any, Any, bytes]) -> bytes:
    """Return what is read; no clock runs for a body that is there already, as nearly all of them are."""
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
    """The rest of a coroutine that was begun by hand, and what it waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, bytes], waiting: object) -> None:
        self._coroutine, self._waiting = coroutine, waiting

    def __await__(self) -> Generator[Any, Any, bytes]:
        waiting = self._waiting
        while True:
            try:
                try:
                    given = yield waiting
                except BaseException as error:  # noqa: BLE001  a cancellation is the coroutine's own affair
                    waiting = self._coroutine.throw(error)
                else:
                    waiting = self._coroutine.send(given)
            except StopIteration as done:
                return cast("bytes", done.value)


def is_json(content_type: bytes) -> bool:
    """Tell whether a Content-Type header names JSON; JSON is UTF-8, whatever else a parameter says."""
    return content_type.split(b";", 1)[0].strip().lower() == b"application/json"


def decode(body: bytes, expected: type[T]) -> T:
    """Return the body as the type that is expected; InvalidRequest names where it is not."""
    try:
        return msgspec.convert(parse(body), expected)
    except msgspec.ValidationError as error:
        raise InvalidRequest([_fault(str(error))]) from None


def parse(body: bytes) -> object:
    """Return strict JSON: UTF-8, no duplicate keys, no NUL, no half characters, at most 32 levels."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        raise InvalidRequest.at("", "it is not UTF-8") from None
    if text.count("{") + text.count("[") > MAX_NESTING and _depth(text) > MAX_NESTING:
        raise InvalidRequest.at("", f"it is nested more than {MAX_NESTING} deep")
    try:
        value: object = _STRICT.decode(text)
    except (ValueError, RecursionError):
        raise InvalidRequest.at("", "it is not valid JSON") from None
    if "\\u" in text and not _is_storable(value):
        raise InvalidRequest.at("", "it holds NUL, or half of a surrogate pair")
    return value


def _depth(text: str) -> int:
    depth = deepest = 0
    for match in _STRING_OR_BRACKET.finditer(text):
        found = match[0]
        if found in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif found in "]}":
            depth -= 1
    return deepest


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise InvalidRequest.at("", "an object has the same key twice")
    return members


def _no_constant(_name: str) -> NoReturn:
    raise ValueError


_STRICT = json.JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_constant)


def _is_storable(value: object) -> bool:
    """Tell whether every text of a value is one that UTF-8 and PostgreSQL can hold."""
    if isinstance(value, str):
        return "\x00" not in value and value.encode("utf-8", "ignore").decode() == value
    if isinstance(value, dict):
        return all(_is_storable(key) and _is_storable(member) for key, member in value.items())
    return all(_is_storable(member) for member in value) if isinstance(value, list) else True


def _fault(message: str) -> Fault:
    """Turn msgspec's words into a pointer and a sentence that repeats no value."""
    place = _PLACE.search(message)
    steps = _STEP.findall(place[1]) if place is not None else []
    pointer = "".join(f"/{(name or number).replace('~', '~0').replace('/', '~1')}" for name, number in steps)
    return Fault(pointer, _TICKED.sub(_name_or_nothing, _QUOTED_VALUE.sub("value", _PLACE.sub("", message))))


def _name_or_nothing(ticked: re.Match[str]) -> str:
    return ticked[0] if _NAME.match(ticked[1]) else "that cannot be a name"
