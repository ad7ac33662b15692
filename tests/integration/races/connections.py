"""HTTP on connections that are kept open: as little as a client can do, so that thousands of requests cost little."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_STATUS = re.compile(rb"HTTP/1\.1 (\d{3}) ")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)


class Answer(NamedTuple):
    """A complete answer."""

    status: int
    body: dict[str, Any]


class ConnectionLost(Exception):
    """The connection ended before the answer was whole: nobody knows what became of the request."""


class Connection:
    """One connection; one request after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self, path: str, body: object, headers: Mapping[str, str]) -> Answer:
        """Send a request and return its answer; ConnectionLost where there is none."""
        raw = json.dumps(body).encode()
        sent = {"host": "tallystick", "content-type": "application/json", "content-length": len(raw), **headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in sent.items())
        try:
            self._writer.write(f"POST {path} HTTP/1.1\r\n{head}\r\n".encode() + raw)
            answered = await self._reader.readuntil(b"\r\n\r\n")
            status, length = _STATUS.match(answered), _LENGTH.search(answered)
            assert status is not None, answered
            assert length is not None, answered
            content = await self._reader.readexactly(int(length[1]))
        except (ConnectionError, asyncio.IncompleteReadError) as error:
            raise ConnectionLost from error
        return Answer(int(status[1]), json.loads(content))


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Connection]:
    """Connect to a server for as long as it takes; ConnectionLost where nobody listens."""
    place = urlsplit(address)
    try:
        reader, writer = await asyncio.open_connection(place.hostname, place.port)
    except OSError as error:
        raise ConnectionLost from error
    try:
        yield Connection(reader, writer)
    finally:
        writer.transport.abort()
