"""The undocumented parts of Litestar and uvicorn that are used here are unchanged."""

import asyncio
import inspect
import socket
from importlib.metadata import version
from typing import Any

import pytest
from litestar import Litestar, Request, asgi, get, post
from litestar.params import FromPath
from litestar.testing import TestClient
from litestar.types import Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from tallystick.entrypoints.http.internals import (
    RouteTable,
    UvicornConnection,
    accepting,
    give_parameters,
    keep_body,
    kept_body,
)
from tallystick.entrypoints.http.parameters import RequestShape
from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation, raw_method
from tallystick.entrypoints.http.request_context import send_reply


@get("/things/{thing:str}")
async def read(thing: FromPath[str]) -> str:
    return thing


@post("/things/{thing:str}")
async def write(thing: FromPath[str]) -> str:
    return thing


@asgi("/raw/{thing:str}", copy_scope=False, opt={OPERATION: RawOperation("POST", "raw", None, "Raw", RequestShape())})
async def raw(scope: Scope, receive: Receive, send: Send) -> None:
    await send_reply(send, 200, b"text/plain", scope["path_params"]["thing"].encode())


def test_the_router_names_the_methods_of_a_path() -> None:
    app = Litestar([read, write, raw], openapi_config=None)
    give_parameters(app)
    table = RouteTable(app, raw_method)

    assert table.methods("/things/a") == {"GET", "HEAD", "POST", "OPTIONS"}
    assert table.methods("//things/a/") == {"GET", "HEAD", "POST", "OPTIONS"}
    assert table.methods("/raw/a") == {"POST", "OPTIONS"}
    assert table.methods("/things") == table.methods("/things/a/b") == frozenset()


def test_raw_handlers_have_their_parameters_under_every_method() -> None:
    app = Litestar([raw], openapi_config=None)
    give_parameters(app)

    found = {app.asgi_router.handle_routing(path="/raw/a", method=method)[3]["thing"] for method in ("GET", "POST")}

    assert found == {"a"}


async def test_a_body_is_kept_for_every_request_object_over_the_same_scope() -> None:
    kept: list[bytes | None] = []

    @post("/kept")
    async def handler(request: Request[Any, Any, Any]) -> None:
        again: Request[Any, Any, Any] = Request(request.scope)
        kept.append(kept_body(request))
        keep_body(request, b"read before")
        kept.extend([kept_body(again), await again.body()])

    with TestClient(Litestar([handler], openapi_config=None)) as client:
        assert client.post("/kept").status_code == 201

    assert kept == [None, b"read before", b"read before"]


class TestUvicorn:
    """The parts that test_protocol.py depends on, so that a changed part is named."""

    @pytest.fixture
    async def connection(self) -> UvicornConnection:
        """Return a connection that is not open."""
        return UvicornConnection(Config(Litestar([], openapi_config=None), log_config=None), ServerState(), {"own": 1})

    def test_its_releases_are_those_that_were_looked_at(self) -> None:
        for package, seen in (("litestar", "2.25."), ("uvicorn", "0.54."), ("httptools", "0.9.")):
            assert version(package).startswith(seen), package

    async def test_a_connection_has_the_fields_that_are_used(self, connection: UvicornConnection) -> None:
        connection.on_message_begin()

        used = {
            "transport",
            "loop",
            "parser",
            "url",
            "headers",
            "scope",
            "app",
            "app_state",
            "pipeline",
            "cycle",
            "flow",
        }
        assert used | {"logger", "access_logger", "server_state", "timeout_keep_alive_task"} <= vars(connection).keys()
        assert (connection.app_state, connection.url, connection.headers) == ({"own": 1}, b"", [])
        assert not connection.pipeline
        assert not connection.is_answered()
        assert not connection.is_body_expected()

    async def test_the_idle_timer_is_stopped(self, connection: UvicornConnection) -> None:
        timer = connection.timeout_keep_alive_task = asyncio.get_running_loop().call_later(3600, lambda: None)

        connection.stop_idle_timer()

        assert timer.cancelled()

    def test_a_request_takes_what_is_passed_and_has_the_fields_that_are_used(self) -> None:
        passed = "scope transport flow logger access_logger access_log default_headers message_event"
        passed += " expect_100_continue keep_alive on_response"
        parameters = inspect.signature(RequestResponseCycle).parameters
        assert set(parameters) == set(passed.split())

        nothing: dict[str, Any] = dict.fromkeys(parameters)
        cycle = RequestResponseCycle(**nothing)
        used = {"scope", "keep_alive", "message_event", "more_body", "response_complete"}
        assert used | {"chunked_encoding", "expected_content_length"} <= vars(cycle).keys()

    def test_it_begins_every_request_where_ours_is_replaced(self) -> None:
        assert list(inspect.signature(HttpToolsProtocol._start_asgi_task).parameters) == ["self", "cycle", "app"]
        source = inspect.getsource(HttpToolsProtocol)
        assert source.count("run_asgi(") == inspect.getsource(HttpToolsProtocol._start_asgi_task).count("run_asgi(") > 0

    async def test_a_socket_is_served_until_the_context_ends(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            config = Config(Litestar([read], openapi_config=None), log_config=None, lifespan="off")
            async with accepting(UvicornConnection, config, listener):
                reader, writer = await asyncio.open_connection(*listener.getsockname())
                writer.write(b"GET /things/a HTTP/1.1\r\nhost: x\r\n\r\n")
                assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 ")
                assert await reader.readexactly(1) == b"a"
            assert await reader.read() == b""  # it was open, and idle
            writer.close()
            await writer.wait_closed()
