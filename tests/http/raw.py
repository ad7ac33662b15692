"""HTTP by hand: raw bytes to a started server, and what comes back, answer by answer."""

import json
import re
import socket
from collections.abc import Iterator
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_SECONDS = 30
_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) [^\r\n]*\Z")


class RawAnswer(NamedTuple):
    """One answer as it came over the wire."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, Any]:
        """The body of a problem document."""
        assert self.headers["content-type"] == "application/problem+json", self
        problem: dict[str, Any] = json.loads(self.body)
        assert problem["correlation_id"] == self.headers["x-correlation-id"]
        assert problem["status"] == self.status
        return problem


def connect(address: str) -> socket.socket:
    """Open a connection to a server."""
    parts = urlsplit(address)
    return socket.create_connection((parts.hostname or "", parts.port or 0), timeout=_SECONDS)


def send(address: str, *parts: bytes, methods: tuple[str, ...] = ()) -> list[RawAnswer]:
    """Send bytes in some parts, and return all answers until the server closes.

    `methods` names the methods of the requests where one of them is HEAD, whose answer has no body.
    """
    with connect(address) as connection:
        for part in parts:
            connection.sendall(part)
        received = until_closed(connection)
    return list(_answers(received, methods))


def until_closed(connection: socket.socket) -> bytes:
    """Return what a server sends until it closes the connection."""
    received = b""
    try:
        while part := connection.recv(65536):
            received += part
    except ConnectionResetError:
        pass
    return received


def request(method: str, path: str, *headers: str, body: bytes = b"", version: str = "1.1", host: str = "x") -> bytes:
    """Return a request of bytes; its headers are exactly the given ones behind `Host`."""
    lines = [f"{method} {path} HTTP/{version}", *([f"Host: {host}"] if host else []), *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def _answers(received: bytes, methods: tuple[str, ...]) -> Iterator[RawAnswer]:
    number = 0
    while received:
        head, _, received = received.partition(b"\r\n\r\n")
        status_line, *lines = head.split(b"\r\n")
        found = _STATUS.match(status_line)
        assert found is not None, received
        if found[1] == b"100":
            continue
        headers: dict[str, str] = {}
        for line in lines:
            name, _, value = line.decode("latin-1").partition(": ")
            headers[name.lower()] = f"{headers[name.lower()]}, {value}" if name.lower() in headers else value
        has_body = not (methods and methods[number] == "HEAD") and found[1] not in {b"204", b"304"}
        body, received = _body(headers, received) if has_body else (b"", received)
        yield RawAnswer(int(found[1]), headers, body)
        number += 1


def _body(headers: dict[str, str], received: bytes) -> tuple[bytes, bytes]:
    if headers.get("transfer-encoding") == "chunked":
        body = b""
        while True:
            size, _, received = received.partition(b"\r\n")
            chunk, received = received[: int(size, 16)], received[int(size, 16) + 2 :]
            body += chunk
            if not chunk:
                return body, received
    length = int(headers.get("content-length", len(received)))
    return received[:length], received[length:]
