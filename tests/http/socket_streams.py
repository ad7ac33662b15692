"""Streams over sockets of their own, many at once, as a crowd of clients has them.

A stream that nobody asks for its next event soon stops reading.
"""

import asyncio
import json
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, TypeVar
from urllib.parse import urlsplit

from tallystick.domain.channels import ChannelId
from tests.http.services import bearer

T = TypeVar("T")

_RECEIVE_BYTES = 4096
"""A small buffer in the kernel, so that a client who does not read is noticed soon."""
_AT_ONCE = 50


class SocketStream:
    """A stream that a client has open, and what it received."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.retry_ms = 0
        self.last_id = ""
        self.seqs: list[int] = []

    async def next(self) -> tuple[str, dict[str, Any]]:
        """Return the name and the data of the next event; `closed` behind the last one, `cut` without a last one."""
        name, data, is_numbered = "", {}, False
        while line := await self._reader.readline():
            if line == b"0\r\n":  # the last chunk
                return "closed", {}
            if line.endswith(b"\r\n"):  # the length of a chunk, or its end: a chunk has whole events
                continue
            field, _, value = line.decode().rstrip("\n").partition(": ")
            match field:
                case "retry":
                    self.retry_ms = int(value)
                case "id":
                    self.last_id, is_numbered = value, True
                case "event":
                    name = value
                case "data":
                    data = json.loads(value)
                case "" if name:
                    if is_numbered and "seq" in data:
                        self.seqs.append(data["seq"])
                    return name, data
        return "cut", {}

    async def until(self, wanted: str) -> dict[str, Any]:
        """Receive up to the first event of a name, and return its data."""
        name, data = await self.next()
        while name != wanted:
            assert name not in {"closed", "cut"}, f"{name} before {wanted}"
            name, data = await self.next()
        return data

    async def until_seq(self, seq: int) -> None:
        """Receive up to a number."""
        while not self.seqs or self.seqs[-1] < seq:
            name, _ = await self.next()
            assert name not in {"closed", "cut"}, f"{name} before {seq}"

    def close(self) -> None:
        self._writer.close()


class Reading(NamedTuple):
    """A user who reads a channel."""

    user: str
    channel_id: ChannelId


async def open_stream(
    address: str, reading: Reading, resume: str = "", *, trust: ssl.SSLContext | None = None
) -> SocketStream:
    """Open a stream of a user, behind an id where one is given, and over TLS where a trust is given."""
    place = urlsplit(address)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BYTES)
    connection.setblocking(False)
    await asyncio.get_running_loop().sock_connect(connection, (str(place.hostname), int(place.port or 0)))
    name = place.hostname if trust is not None else None
    reader, writer = await asyncio.open_connection(sock=connection, ssl=trust, server_hostname=name)
    resumed = f"last-event-id: {resume}\r\n" if resume else ""
    writer.write(
        f"GET /api/channels/{reading.channel_id}/stream HTTP/1.1\r\nhost: x\r\n{resumed}"
        f"authorization: {bearer(reading.user)}\r\n\r\n".encode()
    )
    status = await reader.readline()
    assert b" 200 " in status, status
    while await reader.readline() != b"\r\n":
        pass
    return SocketStream(reader, writer)


async def in_waves(things: Sequence[T], ask: Callable[[T], Awaitable[SocketStream]]) -> list[SocketStream]:
    """Open streams, some at once, and the next ones when all of these are open."""
    streams: list[SocketStream] = []
    for first in range(0, len(things), _AT_ONCE):
        streams += await asyncio.gather(*map(ask, things[first : first + _AT_ONCE]))
    return streams


def raise_open_files() -> None:
    """Let this process have as many open files as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
