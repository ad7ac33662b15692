"""Framing of requests: the headers for the host, for the length of the body and for its encoding."""

import re
from collections.abc import Mapping
from typing import Any, cast

from litestar.types import HTTPScope, Receive

from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.refusals import InvalidRequest, UnsupportedEncoding
from tallystick.entrypoints.http.request_context import REFUSED_BY_SERVER

_MOST_DIGITS = 20
_HOST = re.compile(rb"(?:\[[0-9A-Fa-f:.]+\]|[0-9A-Za-z!$&'()*+;=._~%-]+)(?::\d{0,5})?\Z")
"""Without a comma: two headers of one name are joined by a comma."""


def is_body_announced(headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request says that it has a body."""
    return headers.get(b"content-length", b"0") != b"0" or b"transfer-encoding" in headers


def framing_fault(http_version: str, headers: Mapping[bytes, bytes]) -> Failure | None:
    """Return the failure for a wrong host or encoding; None if both are right."""
    host = headers.get(b"host")
    if host is None:
        if http_version == "1.1":
            return InvalidRequest.header("Host", "HTTP/1.1 needs this header, once")
    elif not _HOST.match(host):
        return InvalidRequest.header("Host", "one host is needed, with a port where it has one")
    coding = headers.get(b"transfer-encoding")
    if coding is not None and (http_version == "1.0" or coding.lower() != b"chunked"):
        return InvalidRequest.header("Transfer-Encoding", "only `chunked` is taken, and only with HTTP/1.1")
    encoding = headers.get(b"content-encoding")
    if encoding is not None and is_body_announced(headers) and not _is_identity(encoding):
        return UnsupportedEncoding()
    return None


def _is_identity(encoding: bytes) -> bool:
    return all(token.strip().lower() in {b"", b"identity"} for token in encoding.split(b","))


def whole_body(receive: Receive, scope: HTTPScope, headers: dict[bytes, bytes]) -> Receive:
    """Return a `receive` that raises where a body was announced and does not arrive whole.

    A server that drops a body, as uvicorn does behind `Upgrade`, would otherwise make of it a request without one.
    """
    if not is_body_announced(headers):
        return receive
    length = headers.get(b"content-length", b"")
    missing = int(length) if length.isdigit() and len(length) < _MOST_DIGITS else 0
    if not length and b"upgrade" in headers:
        missing = 1  # chunked, of unknown length: behind `Upgrade` it must not arrive empty
    state = scope["state"]

    async def receive_whole() -> Any:
        nonlocal missing
        event = await receive()
        if event["type"] == "http.request":
            if REFUSED_BY_SERVER in state:
                raise cast("Failure", state[REFUSED_BY_SERVER])
            missing -= len(event["body"])
            if missing > 0 and not event.get("more_body", False):
                raise InvalidRequest.at("", "a body was announced, and less of it arrived")
        return event

    return receive_whole
