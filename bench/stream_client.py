"""The reader of streams, in a process of its own: thousands of connections, each to its first `ready` and then open.

`python -m bench.stream_client` reads one `Listening` from standard input, prints `ready` when every stream is, and
holds them until its input ends. With a load it sends that meanwhile, and prints one `Received`. After an unexpected
answer it exits with status 1 and a sentence.
"""

import asyncio
import re
import resource
import sys
from statistics import quantiles
from time import perf_counter, process_time
from typing import cast

import msgspec
import uvloop

from bench.client import GRACE_SECONDS, Load, Run, WrongAnswer

_OPENED_AT_ONCE = 64
_OPENING_SECONDS = 120.0
_SPARE_FILES = 100
_NUMBER = re.compile(rb'"body":"A message with number (\d+)"')
_END_OF_EVENT = b"\n\n"
_SHOWN_BYTES = 300


class Listening(msgspec.Struct, frozen=True, kw_only=True):
    """The streams to open, and the messages to send while they are open, whose texts end with their numbers."""

    host: str
    port: int
    openings: list[bytes]
    load: Load | None = None


class Received(msgspec.Struct, frozen=True):
    """The messages that were sent, and their receipts by all streams. A latency begins when its send was due."""

    sent: int
    receipts: int
    p50_ms: float
    p99_ms: float
    most_ms: float
    seconds: float
    cpu_seconds: float
    """The processor time of the client, which sends and receives."""


class _Stream(asyncio.Protocol):
    """One stream."""

    def __init__(self, all_streams: "_Streams", opening: bytes) -> None:
        self._all, self._opening = all_streams, opening
        self._rest = b""
        self.is_ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        cast("asyncio.Transport", transport).write(self._opening)

    def data_received(self, data: bytes) -> None:
        data = self._rest + data
        end = data.rfind(_END_OF_EVENT) + len(_END_OF_EVENT)
        if end < len(_END_OF_EVENT):
            self._rest = data
            return
        self._rest = data[end:]
        if b"event: bye" in data or (not self.is_ready.done() and not data.startswith(b"HTTP/1.1 200 ")):
            self._fail(f"a stream that does not go on: {data[:_SHOWN_BYTES]!r}")
        elif self.is_ready.done():
            self._all.receive(_NUMBER.findall(data, 0, end))
        elif b"event: ready" in data:
            self.is_ready.set_result(None)
            self._opening = b""
        else:  # the head came without its first event
            self._rest = data

    def connection_lost(self, _error: Exception | None) -> None:
        self._fail("the server closed a stream")

    def _fail(self, why: str) -> None:
        error = WrongAnswer(why)
        if not self.is_ready.done():
            self.is_ready.set_exception(error)
        self._all.fail(error)


class _Streams:
    """All streams of a run."""

    def __init__(self, listening: Listening) -> None:
        self._listening = listening
        self._latencies: list[float] = []
        self._expected = -1
        self._all_received: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._run: Run | None = None
        self._is_over = False

    async def __call__(self) -> None:
        async with asyncio.timeout(_OPENING_SECONDS):
            await self._open()
        _print(b"ready\n")
        load = self._listening.load
        if load is not None:
            _print(msgspec.json.encode(await self._send(load)) + b"\n")
        ended = asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.read)
        await asyncio.wait([ended, self._all_received], return_when=asyncio.FIRST_COMPLETED)
        self._is_over = True
        if not ended.done():
            self._all_received.result()

    def receive(self, numbers: list[bytes]) -> None:
        if self._run is None or self._listening.load is None:
            return
        now, started, per_second = perf_counter(), self._run.started, self._listening.load.per_second
        self._latencies += [(now - started - int(number) / per_second) * 1000 for number in numbers]
        if len(self._latencies) == self._expected and not self._all_received.done():
            self._all_received.set_result(None)

    def fail(self, error: WrongAnswer) -> None:
        if not self._is_over and not self._all_received.done():
            self._all_received.set_exception(error)

    async def _open(self) -> None:
        loop, listening, room = asyncio.get_running_loop(), self._listening, asyncio.Semaphore(_OPENED_AT_ONCE)

        async def one(opening: bytes) -> None:
            async with room:
                _, stream = await loop.create_connection(lambda: _Stream(self, opening), listening.host, listening.port)
                await stream.is_ready

        await asyncio.gather(*(one(opening) for opening in listening.openings))

    async def _send(self, load: Load) -> Received:
        self._run, before, began = Run(load), process_time(), perf_counter()
        answers = await self._run()
        sent, streams = len(answers.latencies_ms), len(self._listening.openings)
        self._expected = sent * streams
        if len(self._latencies) < self._expected:
            async with asyncio.timeout(GRACE_SECONDS):
                await self._all_received
        if len(self._latencies) != self._expected:
            raise WrongAnswer(f"{sent} messages came {len(self._latencies)} times to {streams} streams")
        cuts = quantiles(self._latencies, n=100, method="inclusive")
        seconds, cpu_seconds = perf_counter() - began, process_time() - before
        self._all_received = asyncio.get_running_loop().create_future()
        return Received(sent, len(self._latencies), cuts[49], cuts[98], max(self._latencies), seconds, cpu_seconds)


def _print(output: bytes) -> None:
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()


def main() -> None:
    size = int(sys.stdin.buffer.readline())
    listening = msgspec.msgpack.decode(sys.stdin.buffer.read(size), type=Listening)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < len(listening.openings) + _SPARE_FILES:
        sys.exit(f"{len(listening.openings)} streams need more than {most} open files: raise `ulimit -Hn`")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

    async def run() -> None:
        await _Streams(listening)()

    try:
        uvloop.run(run())
    except (WrongAnswer, OSError, TimeoutError) as error:
        sys.exit(str(error) or "streams or messages did not come in time")


if __name__ == "__main__":
    main()
