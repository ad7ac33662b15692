"""How long the head of a request may take, and the reading of a reply, measured by a clock that the test moves."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from litestar import Litestar, get
from litestar.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.server import ServerState

from tallystick.entrypoints.http.problems import send_problem
from tallystick.entrypoints.http.protocol import HEAD_SECONDS, MAX_WAITING, WRITE_SECONDS, HttpProtocol
from tallystick.entrypoints.http.request_context import REFUSED_BY_SERVER, RequestContext


class Wire(asyncio.Transport):
    """A transport that records its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.writes = 0
        self.closed = False
        self.aborted = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.writes += 1
        assert not self.closed
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        return self.closed

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Timers:
    """Stands in for the loop's timers."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.due: list[tuple[float, Callable[[], None], asyncio.TimerHandle]] = []

    def call_later(self, delay: float, callback: Callable[[], None], *_: Any) -> asyncio.TimerHandle:
        handle = self._loop.call_later(3600, lambda: None)
        self.due.append((delay, callback, handle))
        return handle

    def let_pass(self, seconds: float = HEAD_SECONDS) -> None:
        for delay, callback, handle in self.due:
            if delay == seconds and not handle.cancelled():
                callback()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)


@get("/healthz")
async def healthz() -> dict[str, str]:
    return {}


def refusing(app: ASGIApp) -> ASGIApp:
    """Answer what the protocol refuses, as the request boundary does."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        refusal = scope["state"].get(REFUSED_BY_SERVER)
        if refusal is None:
            await app(scope, receive, send)
        else:
            await send_problem(refusal, RequestContext("", {}, ""), send)

    return answer


@pytest.fixture
async def opened() -> AsyncIterator[tuple[HttpProtocol, Wire, Timers]]:
    """Return a connection that was just made, its wire and its timers."""
    config = Config(refusing(Litestar([healthz], openapi_config=None)), log_config=None, lifespan="off")
    timers = Timers(asyncio.get_running_loop())
    protocol = HttpProtocol(config, ServerState(), {}, _loop=timers)  # type: ignore[arg-type]  # stands in for it
    wire = Wire()
    protocol.connection_made(wire)
    yield protocol, wire, timers
    protocol.connection_lost(ConnectionResetError())
    for _, _, handle in timers.due:
        handle.cancel()


async def test_a_silent_connection_is_closed(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    _, wire, timers = opened

    timers.let_pass()

    assert wire.closed


async def test_a_head_that_is_only_begun_is_answered_and_closed(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, timers = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n")

    timers.let_pass()
    await _run_callbacks()

    assert wire.closed


async def test_a_head_that_ended_in_time_is_not(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, timers = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")

    timers.let_pass()

    assert not wire.closed


async def test_no_clock_runs_for_a_head_that_came_whole(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, _, timers = opened
    for _ in range(2):
        protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        await _run_callbacks()

    assert [handle.cancelled() for delay, _, handle in timers.due if delay == HEAD_SECONDS] == [True]


async def test_a_reply_is_written_by_one_call(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, _ = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    await _run_callbacks()

    assert wire.writes == 1
    assert wire.written.startswith(b"HTTP/1.1 200 OK\r\n")
    assert wire.written.endswith(b"\r\n\r\n{}")


async def test_a_reply_that_closes_the_connection_is_written_before(
    opened: tuple[HttpProtocol, Wire, Timers],
) -> None:
    protocol, wire, _ = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
    await _run_callbacks()

    assert wire.closed
    assert wire.written.endswith(b"\r\n\r\n{}")


async def test_bytes_behind_a_reply_that_begin_no_head_have_their_time_too(
    opened: tuple[HttpProtocol, Wire, Timers],
) -> None:
    protocol, wire, timers = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    await _run_callbacks()
    protocol.data_received(b"\r\n")

    timers.let_pass()

    assert wire.closed


async def test_nothing_is_written_to_a_client_that_is_gone(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, _ = opened
    protocol.transport.write(b"late")
    wire.closed = True
    await _run_callbacks()

    assert wire.writes == 0


async def test_large_writes_in_one_turn_meet_the_bounds_of_the_connection(
    opened: tuple[HttpProtocol, Wire, Timers],
) -> None:
    protocol, wire, _ = opened
    for _ in range(3):
        protocol.transport.write(b"x" * 40_000)

    assert len(wire.written) == 80_000


async def test_a_client_that_does_not_read_is_dropped_with_all_that_was_written(
    opened: tuple[HttpProtocol, Wire, Timers],
) -> None:
    protocol, wire, timers = opened
    protocol.transport.write(b"never read")
    protocol.pause_writing()

    timers.let_pass(WRITE_SECONDS)
    await _run_callbacks()

    assert wire.aborted
    assert wire.written == b""


async def test_a_client_that_reads_in_time_is_not_dropped(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, timers = opened
    for _ in range(2):
        protocol.pause_writing()
        protocol.resume_writing()

    timers.let_pass(WRITE_SECONDS)

    assert not wire.closed


async def test_the_second_head_of_a_connection_has_its_own_time(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, timers = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
    await _run_callbacks()
    protocol.data_received(b"GET /healthz HTTP/1.1\r\n")

    timers.let_pass()
    await _run_callbacks()

    assert wire.closed


async def test_requests_far_ahead_of_their_answers_are_refused(opened: tuple[HttpProtocol, Wire, Timers]) -> None:
    protocol, wire, _ = opened
    protocol.data_received(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n" * 2 * MAX_WAITING)
    for _ in range(2 * MAX_WAITING):
        await _run_callbacks()

    *answered, refused = wire.written.split(b"HTTP/1.1 ")[1:]
    assert len(answered) == MAX_WAITING + 1
    assert {answer[:3] for answer in answered} == {b"200"}
    assert refused.startswith(b"503")


async def _run_callbacks() -> None:
    """Let the loop do what is to be done."""
    for _ in range(50):
        await asyncio.sleep(0)
