"""HTTP/1.1 on a connection: uvicorn's protocol, with bounded heads, without upgrades, and with our own refusals.

tests/unit/http/test_protocol.py and tests/integration/cli/test_wire.py try it with httptools 0.9.
"""

import asyncio

import httptools

from tallystick.domain.refusals import Failure, Overloaded
from tallystick.entrypoints.http.internals import UvicornConnection
from tallystick.entrypoints.http.joined_writes import JoinedWrites
from tallystick.entrypoints.http.refusals import HeadersTooLarge, HeadTooSlow, MalformedRequest
from tallystick.entrypoints.http.request_context import MAX_HEADER_BYTES, MAX_TARGET_BYTES, REFUSED_BY_SERVER

HEAD_SECONDS = 15.0
WRITE_SECONDS = 30.0
"""How long a client may take to read before a reply that fills the buffers is dropped."""
MAX_HEAD_BYTES = MAX_HEADER_BYTES + MAX_TARGET_BYTES + 8 * 1024
"""More than both bounds together: the application refuses a head that is slightly too long, with its route."""
MAX_CHUNKS = 8192
"""In one body: each chunk calls Python, and a megabyte in chunks of one byte would take a second of the event loop."""
MAX_WAITING = 128
"""Pipelined requests of one connection, which are parsed before any of them is answered."""
_VERSIONS = frozenset({"1.0", "1.1"})
_UPGRADE_TOKENS = frozenset({b"upgrade", b"http2-settings"})
_NO_HTTP = "the request line is not one of HTTP/1.1"


class HttpProtocol(UvicornConnection):
    """One connection. The application answers also what the parser refuses."""

    _has_begun = False
    _is_head = True
    _began_here = False
    _head_bytes = 0
    _chunks = 0
    _is_refused = False
    _head_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self.transport = JoinedWrites(transport, self.loop)
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self._stop_write_timer()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(WRITE_SECONDS, self._drop)

    def resume_writing(self) -> None:
        self._stop_write_timer()
        super().resume_writing()

    def data_received(self, data: bytes) -> None:
        if self._is_refused:
            return
        self.stop_idle_timer()
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            self._refuse(_refusal(error))
            return
        if not self._is_head:
            self._time_bytes_before_a_head()
            return
        # Bytes before a head in the same read do not count for the head; the transport bounds one read.
        if not self._began_here:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self._refuse(HeadersTooLarge(MAX_HEADER_BYTES))
                return
        self._began_here = False
        if self._head_timer is None:  # nearly every head arrives whole, and needs no timer
            self._wait_for_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._has_begun, self._is_head, self._began_here = True, True, True
        self._head_bytes = self._chunks = 0

    def on_headers_complete(self) -> None:
        if self.parser.should_upgrade():
            return  # the head is parsed again without its upgrade, see _feed
        if self.parser.get_http_version() not in _VERSIONS:
            raise httptools.HttpParserInvalidStatusError
        if not self.url.startswith(b"/"):
            self.url = _origin_form(self.url)
        if self.queued_requests() >= MAX_WAITING:
            raise _Refused(Overloaded(cause="in_flight"))
        super().on_headers_complete()
        self._is_head = False
        self._stop_waiting()

    def on_chunk_header(self) -> None:
        """Count the chunks of a body; httptools calls this where it exists."""
        self._chunks += 1
        if self._chunks > MAX_CHUNKS:
            raise _Refused(MalformedRequest(f"the body comes in more than {MAX_CHUNKS:,} chunks"))

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_message_complete()

    def _feed(self, data: bytes) -> None:
        """Parse what was received; a request for an upgrade is parsed again without the upgrade.

        httptools ends such a message after its head and drops the body (encode/uvicorn#2722). A server may ignore an
        upgrade (RFC 9110, 7.8), and Java's and curl's clients offer `h2c` on every plain connection.
        """
        rest = memoryview(data)
        while True:
            try:
                self.parser.feed_data(rest)
            except httptools.HttpParserUpgrade as upgrade:
                rest = rest[upgrade.args[0] :]
                head = self._head_without_upgrade()
                self.restart_parser()
                self.parser.feed_data(head)
            else:
                return

    def _head_without_upgrade(self) -> bytes:
        method = self.parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserInvalidMethodError("this server is not a proxy, and takes no CONNECT")
        lines = [b"%s %s HTTP/%s" % (method, self.url, self.parser.get_http_version().encode())]
        for name, value in self.headers:
            if name == b"connection":
                tokens = [token.strip() for token in value.split(b",")]
                kept = b", ".join(token for token in tokens if token.lower() not in _UPGRADE_TOKENS)
                lines += [b"connection: " + kept] if kept else []
            elif name not in _UPGRADE_TOKENS:
                lines.append(name + b": " + value)
        return b"\r\n".join((*lines, b"", b""))

    def _refuse(self, refusal: Failure) -> None:
        """Answer what cannot be parsed, after all earlier requests are answered, and close the connection."""
        self._is_refused = True
        self._stop_waiting()
        if self.transport.is_closing():
            return
        state = {REFUSED_BY_SERVER: refusal}
        if self.is_body_expected() and not self._is_head:
            self.end_body(state)
        else:
            self.answer_without_request(state)

    def _time_bytes_before_a_head(self) -> None:
        """Start the timer for bytes after a reply that begin no head: they stopped the idle timer."""
        if self.is_answered() and self._head_timer is None:
            self._wait_for_head()

    def _wait_for_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._give_up)

    def _stop_waiting(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _stop_write_timer(self) -> None:
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def _drop(self) -> None:
        """Drop a client that does not read; a plain close would wait until the buffers are empty."""
        self.transport.abort()

    def _give_up(self) -> None:
        """Refuse a head that has begun; close a connection on which none has."""
        if self._is_head and self._has_begun:
            self._refuse(HeadTooSlow())
        else:
            self.transport.close()


class _Refused(httptools.HttpParserError):
    """A refusal of this file that is raised in a callback, so that the parser stops."""

    def __init__(self, refusal: Failure) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def _refusal(error: httptools.HttpParserError) -> Failure:
    """Return the refusal for an error of the parser, or the one that a callback raised."""
    cause = error.__context__
    return cause.refusal if isinstance(cause, _Refused) else MalformedRequest(_reason(error))


def _reason(error: BaseException | None) -> str:
    """Return the message of the parser, unless it may repeat what was sent."""
    if isinstance(error, httptools.HttpParserCallbackError):
        return _reason(error.__context__)
    if isinstance(error, httptools.HttpParserError) and not isinstance(error, httptools.HttpParserInvalidURLError):
        return str(error.args[0]) if error.args else _NO_HTTP
    return _NO_HTTP


def _origin_form(url: bytes) -> bytes:
    """Return the path and query of an absolute URL, which a server has to take as well (RFC 9112, 3.2.2)."""
    if url == b"*":
        return url
    parsed = httptools.parse_url(url)
    return (parsed.path or b"/") + (b"?" + parsed.query if parsed.query else b"")
