"""The load generator, in a process of its own: keep-alive connections that check every answer.

`python -m bench.client` reads one `Load` from standard input and writes one `Answers` to standard output. After an
unexpected answer it exits with status 1 and a sentence.
"""

import asyncio
import re
import sys
from collections import deque
from collections.abc import Iterator
from itertools import cycle
from time import perf_counter, process_time
from typing import cast

import msgspec
import uvloop

GRACE_SECONDS = 10.0
"""How long the client waits for the last answers."""

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)\r\n", re.IGNORECASE)
_OK = (b"HTTP/1.1 200 ", b"HTTP/1.1 201 ")
_SHOWN_BYTES = 300


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The requests, and the expected answer to each: a 200 or 201 with some bytes in its body, or a known refusal."""

    host: str
    port: int
    requests: list[bytes]
    holds: bytes
    refusal: bytes = b""
    """The bytes of the known refusal, of any status; empty if no refusal is expected."""
    seconds: float
    """How long requests are sent; the run ends earlier when no request is left."""
    repeats: bool = False
    """Begin again after the last request."""
    per_second: float = 0.0
    """Send at this steady rate, independent of the answers; 0 sends the next request after each answer."""
    connections: int = 64


class Answers(msgspec.Struct, frozen=True):
    """The answers. A latency is measured from the moment at which its request was due."""

    seconds: float
    latencies_ms: list[float]
    refused: int
    cpu_seconds: float
    """The processor time of the client while it sent requests."""


class WrongAnswer(Exception):
    """The server gave an unexpected answer, or none."""


class _Connection(asyncio.Protocol):
    """One connection, with at most one request in progress."""

    def __init__(self, run: "Run") -> None:
        self._run = run
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(
            "asyncio.Transport", transport
        )  # uvloop's transport is one, but does not inherit from it

    def send(self, request: bytes, due: float) -> None:
        assert self._transport is not None
        self._due = due
        self._transport.write(request)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        if self._received:
            data = self._received + data
        end_of_head = data.find(b"\r\n\r\n")
        if end_of_head < 0:
            self._received = data
            return
        length = _LENGTH.search(data, 0, end_of_head + 2)
        if length is None:
            self._run.fail(f"an answer without a length: {_shown(data)}")
            return
        missing = end_of_head + 4 + int(length[1]) - len(data)
        if missing > 0:
            self._received = data
            return
        self._received = b""
        if missing or not self._run.is_right(data, end_of_head):
            self._run.fail(f"a wrong answer: {_shown(data)}")
        else:
            self._run.answered(self, self._due)

    def connection_lost(self, _error: Exception | None) -> None:
        self._run.fail("the server closed a connection")


class Run:
    """One load in progress; request `n` of a steady one is due `n / per_second` after `started`."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._refused = 0
        self._requests: Iterator[bytes] = cycle(load.requests) if load.repeats else iter(load.requests)
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._latencies: list[float] = []
        self._idle: list[_Connection] = []
        self._overdue: deque[tuple[bytes, float]] = deque()
        self._on_their_way = 0
        self._is_over = False
        self.started = self._last_answer = 0.0

    async def __call__(self) -> Answers:
        load, loop = self._load, asyncio.get_running_loop()
        connections = [
            (await loop.create_connection(lambda: _Connection(self), load.host, load.port))[1]
            for _ in range(min(load.connections, len(load.requests)))
        ]
        self.started, before = perf_counter(), process_time()
        async with asyncio.timeout(load.seconds + GRACE_SECONDS):
            if load.per_second:
                self._idle += connections
                await self._send_steadily()
            else:
                for connection in connections:
                    self._send_next(connection)
            await self._done
        for connection in connections:
            connection.close()
        return Answers(self._last_answer - self.started, self._latencies, self._refused, process_time() - before)

    def is_right(self, answer: bytes, end_of_head: int) -> bool:
        """Return whether an answer is as expected, and count it if it is the known refusal."""
        if answer.startswith(_OK):
            return answer.find(self._load.holds, end_of_head) >= 0
        if self._load.refusal and answer.find(self._load.refusal, end_of_head) >= 0:
            self._refused += 1
            return True
        return False

    def fail(self, why: str) -> None:
        if not self._done.done():
            self._done.set_exception(WrongAnswer(why))

    def answered(self, connection: _Connection, due: float) -> None:
        self._last_answer = perf_counter()
        self._latencies.append((self._last_answer - due) * 1000)
        self._on_their_way -= 1
        if self._overdue:
            self._send(connection, *self._overdue.popleft())
        elif self._load.per_second:
            self._idle.append(connection)
            self._finish_if_over()
        else:
            self._send_next(connection)

    def _send_next(self, connection: _Connection) -> None:
        now = perf_counter()
        request = None if now - self.started >= self._load.seconds else next(self._requests, None)
        if request is not None:
            self._send(connection, request, now)
            return
        self._is_over = True
        self._finish_if_over()

    async def _send_steadily(self) -> None:
        """Send each request at its own fixed time, so that a slow answer does not delay the others."""
        for number, request in enumerate(self._requests):
            due = number / self._load.per_second
            if due >= self._load.seconds or self._done.done():
                break
            due += self.started
            wait = due - perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            if self._idle:
                self._send(self._idle.pop(), request, due)
            else:
                self._overdue.append((request, due))
        self._is_over = True
        self._finish_if_over()

    def _send(self, connection: _Connection, request: bytes, due: float) -> None:
        self._on_their_way += 1
        connection.send(request, due)

    def _finish_if_over(self) -> None:
        if self._is_over and not self._on_their_way and not self._overdue and not self._done.done():
            self._done.set_result(None)


def _shown(answer: bytes) -> str:
    return repr(answer[:_SHOWN_BYTES])


def main() -> None:
    load = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=Load)

    async def run() -> Answers:
        return await Run(load)()

    try:
        answers = uvloop.run(run())
    except (WrongAnswer, OSError, TimeoutError) as error:
        sys.exit(str(error) or "answers did not come in time")
    sys.stdout.buffer.write(msgspec.msgpack.encode(answers))


if __name__ == "__main__":
    main()
