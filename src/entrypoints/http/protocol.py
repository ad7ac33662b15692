"""HTTP as uvicorn speaks it: heads are bounded in bytes and time, replies written at once and not for ever."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from adapters.system import SystemRandomness
from entrypoints.http.exchange import MAX_HEADER_BYTES, MAX_TARGET_BYTES
from entrypoints.http.problems import PROBLEM_JSON, problem_body
from entrypoints.http.refusals import HeadersTooLarge

HEAD_SECONDS = 15.0
WRITE_SECONDS = 30.0
"""How long a client may take to read what fills the buffers; who reads nothing is not waited for."""
_MOST_JOINED_BYTES = 64 * 1024
MAX_HEAD_BYTES = MAX_HEADER_BYTES + MAX_TARGET_BYTES + 8 * 1024
"""Names, separators and what is too long by a little are told so further inside."""


class JoinedWrites(asyncio.Transport):
    """Sends what is written in one turn of the loop by one call: uvicorn writes a reply's head and body apart."""

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
        if self._size > _MOST_JOINED_BYTES:  # whoever writes more has to learn that nobody reads it
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
        if written and not self._transport.is_closing():  # the client may be gone by now
            self._transport.write(written)


class HttpProtocol(HttpToolsProtocol):
    """Closes connections whose head does not end: the parser would keep whatever it is sent."""

    _is_head = True
    _began_here = False
    _head_bytes = 0
    _patience: asyncio.TimerHandle | None = None
    _reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_minding()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = self.loop.call_later(WRITE_SECONDS, self._drop)

    def resume_writing(self) -> None:
        self._stop_minding()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_head:
            self._mind_what_is_no_head()
            return
        # What came before a head in the same read is not its own; one read is bounded by the transport.
        if not self._began_here:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse()
        self._began_here = False
        if self._patience is None:  # nearly every head comes whole, and no clock runs for it
            self._wait_for_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._is_head, self._began_here, self._head_bytes = True, True, 0

    def on_headers_complete(self) -> None:
        self._is_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def _mind_what_is_no_head(self) -> None:
        """Run the clock for what came behind a reply without beginning a head: it stopped the one of idle times."""
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and cycle.response_complete and self._patience is None:
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._patience = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _stop_minding(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _drop(self) -> None:
        """Let go of who does not read; closing would wait for them to take what is in the buffers."""
        self.transport.abort()

    def _give_up(self) -> None:
        self.transport.close()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        body = problem_body(HeadersTooLarge(MAX_HEADER_BYTES), SystemRandomness().bytes(16).hex())
        head = (
            "HTTP/1.1 431 Request Header Fields Too Large\r\n"
            f"content-type: {PROBLEM_JSON}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()
