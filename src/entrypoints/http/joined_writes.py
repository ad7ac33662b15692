"""Joined writes: uvicorn writes the head and the body of a reply separately, and one system call is cheaper."""

import asyncio

_MOST_JOINED_BYTES = 64 * 1024


class JoinedWrites(asyncio.Transport):
    """Sends everything that is written in one iteration of the event loop by one call."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._transport, self._loop = transport, loop
        self._written: list[bytes | bytearray | memoryview] = []
        self._size = 0

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if not self._written:
            self._loop.call_soon(self._send)
        self._written.append(data)
        self._size += len(data)
        if self._size > _MOST_JOINED_BYTES:  # the transport's flow control must see large replies
            self._send()

    def close(self) -> None:
        self._send()
        self._transport.close()

    def abort(self) -> None:
        self._written.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def _send(self) -> None:
        written = b"".join(self._written)
        self._written.clear()
        self._size = 0
        if written and not self._transport.is_closing():  # the client may have disconnected
            self._transport.write(written)
