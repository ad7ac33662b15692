"""All undocumented parts of Litestar and uvicorn that are used; seen in litestar 2.25, uvicorn 0.54.

pyproject.toml caps both below their next minor version. tests/unit/http/test_internals.py fails when a part that is
used changes, and tests/unit/test_internals_of_others.py when another file uses one.
"""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httptools
import uvicorn
from litestar import Litestar, Request
from litestar._asgi.routing_trie.types import RouteTrieNode
from litestar.exceptions import MethodNotAllowedException, NotFoundException
from litestar.routes import ASGIRoute, BaseRoute, HTTPRoute
from litestar.types import ASGIApp, Message, Receive, Scope, Send
from litestar.utils import normalize_path
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState
from uvicorn.supervisors import Multiprocess
from uvicorn.supervisors.multiprocess import Process

_NO_METHOD: Any = "NONE"
"""A method that no route has: the router then answers with the methods that it has."""


class RouteTable:
    """The methods of each path, as the framework's own router finds them.

    The framework offers no public way to ask: `Litestar.routes` would have to be matched by rules of our own, which
    could differ from those of the router.
    """

    def __init__(self, app: Litestar, raw_method: Callable[[Mapping[str, Any]], str | None]) -> None:
        """`raw_method` returns the method of a raw handler from its options; None where they name none."""
        self._router, self._raw_method = app.asgi_router, raw_method
        self._all = _with_own(method for route in app.routes for method in self._methods(route))

    def methods(self, path: str) -> frozenset[str]:
        """Return the methods of a path, with HEAD and OPTIONS; empty where no route has the path.

        `*` stands for the whole server (RFC 9110, 9.3.7).
        """
        if path == "*":
            return self._all
        try:
            handler = self._router.handle_routing(path=normalize_path(path), method=_NO_METHOD)[1]
        except NotFoundException:
            return frozenset()
        except MethodNotAllowedException as error:
            found = {method.strip() for method in (error.headers or {}).get("allow", "").split(",")}
        else:
            found = self._raw_methods(handler.opt)
        return _with_own(found)

    def _methods(self, route: BaseRoute) -> Iterable[str]:
        if isinstance(route, HTTPRoute):
            return route.methods
        return self._raw_methods(route.route_handler.opt) if isinstance(route, ASGIRoute) else ()

    def _raw_methods(self, options: Mapping[str, Any]) -> set[str]:
        method = self._raw_method(options)
        return set() if method is None else {method}


def _with_own(methods: Iterable[str]) -> frozenset[str]:
    """Add the methods that every path has by itself."""
    found = frozenset(methods)
    return found | {"OPTIONS"} | ({"HEAD"} if "GET" in found else set())


def give_parameters(app: Litestar) -> None:
    """Let raw handlers have parameters in their paths.

    Litestar keeps the parameters of an ASGI handler under `asgi`, and looks for them under the method.
    """
    _give_parameters(app.asgi_router.root_route_map_node)


def _give_parameters(node: RouteTrieNode) -> None:
    if node.is_asgi:
        node.path_parameters = _ForAnyMethod(node.path_parameters)
    for child in node.children.values():
        _give_parameters(child)


class _ForAnyMethod(dict[Any, Any]):
    """The parameters of an ASGI handler, under every method."""

    def __missing__(self, method: object) -> Any:
        return self["asgi"]


def kept_body(request: Request[Any, Any, Any]) -> bytes | None:
    """Return the body that `keep_body` kept; None where there is none yet.

    Litestar makes a request object several times for one request, and keeps what they share in the scope.
    """
    body = request._connection_state.body  # noqa: SLF001  what this file is for
    return body if isinstance(body, bytes) else None


def keep_body(request: Request[Any, Any, Any], body: bytes) -> None:
    """Keep a body that was read, for every request object over the same scope."""
    request._connection_state.body = body  # noqa: SLF001  what this file is for


class UvicornConnection(HttpToolsProtocol):
    """One connection of uvicorn, with names of our own for the parts that a subclass needs.

    A subclass uses these methods, the callbacks of asyncio and httptools, and `transport`, `loop`, `parser`, `url` and
    `headers`: uvicorn documents no way to bound what it reads.
    """

    def stop_idle_timer(self) -> None:
        """Stop the timer that ends an idle connection; uvicorn does so in `data_received`, which is replaced."""
        self._unset_keepalive_if_required()

    def restart_parser(self) -> None:
        """Parse what comes as the beginning of a message, with the leniency that uvicorn sets."""
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)

    def queued_requests(self) -> int:
        """Return how many requests wait until those before them are answered."""
        return len(self.pipeline)

    def is_body_expected(self) -> bool:
        """Return whether the latest request has a body that has not arrived whole."""
        latest = self._latest()
        return latest is not None and latest.more_body

    def is_answered(self) -> bool:
        """Return whether there was a request, and the latest one was answered."""
        latest = self._latest()
        return latest is not None and latest.response_complete

    def end_body(self, state: Mapping[str, object]) -> None:
        """End the body of the latest request, which finds `state` in its scope; its answer is the connection's last."""
        cycle = self.cycle
        if cycle.response_complete:
            self.transport.close()
            return
        cycle.keep_alive = False
        cycle.scope["state"].update(state)
        cycle.more_body = False
        cycle.message_event.set()

    def answer_without_request(self, state: Mapping[str, object]) -> None:
        """Let the application answer what never became a request, after all earlier requests are answered, and close.

        The application finds `state` in its scope.
        """
        latest = self._latest()
        request_scope: Any = {
            "method": "",
            "path": "/",
            "raw_path": b"/",
            "query_string": b"",
            "state": {**self.app_state, **state},
        }
        self.cycle = RequestResponseCycle(
            scope={**self.scope, **request_scope},
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=False,
            on_response=self.on_response_complete,
        )
        self.cycle.more_body = False
        if latest is None or latest.response_complete:
            self._start_asgi_task(self.cycle, self.app)
        else:
            self.pipeline.appendleft((self.cycle, self.app))

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if cycle.scope["http_version"] == "1.0":
            app = _without_chunks(app, cycle)
        super()._start_asgi_task(cycle, app)

    def _latest(self) -> RequestResponseCycle | None:
        """Return the latest request; uvicorn's annotation leaves out that there may be none yet."""
        return self.cycle


def _without_chunks(app: ASGIApp, cycle: RequestResponseCycle) -> ASGIApp:
    """Answer HTTP/1.0, which knows no chunks: a body of unknown length ends with the connection."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        is_bounded = True

        async def send_whole(message: Message) -> None:
            nonlocal is_bounded
            if message["type"] == "http.response.start":
                is_bounded = any(name.lower() == b"content-length" for name, _ in message["headers"])
                cycle.chunked_encoding = None if is_bounded else False
            elif message["type"] == "http.response.body" and not is_bounded:
                cycle.expected_content_length = len(message["body"])
            await send(message)

        await app(scope, receive, send_whole)

    return answer


@asynccontextmanager
async def accepting(
    connection: Callable[[uvicorn.Config, ServerState, dict[str, Any]], UvicornConnection],
    config: uvicorn.Config,
    listener: socket.socket,
) -> AsyncIterator[None]:
    """Serve a second application on a socket of this loop while the context is open.

    `uvicorn.Server` would take the signals of the process for itself.
    """
    config.load()
    state = ServerState()
    server = await asyncio.get_running_loop().create_server(lambda: connection(config, state, {}), sock=listener)
    try:
        yield
    finally:
        server.close()
        for open_connection in list(state.connections):
            open_connection.shutdown()


STARTING_SECONDS = 60.0


class Workers(Multiprocess):
    """The workers of a server; `ended` is called with the id of each that was replaced.

    uvicorn 0.54 kills a worker that does not answer a ping within five seconds. A worker that still imports its modules
    answers none: on a busy machine each one would be replaced before it has started.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        ended: Callable[[int], None],
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(config, sockets=[listener])
        self._ended, self._now = ended, now
        self._seen_at: dict[int | None, float] = {}

    def keep_subprocess_alive(self) -> None:
        before = self._seen_at
        self._seen_at = {worker.pid: before.get(worker.pid, self._now()) for worker in self.processes}
        starting = [worker for worker in self.processes if self._is_starting(worker)]
        self.processes = [worker for worker in self.processes if worker not in starting]
        super().keep_subprocess_alive()
        self.processes = [*starting, *self.processes]
        running = {worker.pid for worker in self.processes}
        gone = (before.keys() | self._seen_at.keys()) - running
        self._seen_at = {process_id: at for process_id, at in self._seen_at.items() if process_id in running}
        for process_id in gone:
            if process_id is not None:
                self._ended(process_id)

    def _is_starting(self, worker: Process) -> bool:
        return worker.process.is_alive() and self._now() - self._seen_at[worker.pid] < STARTING_SECONDS


def run_workers(config: uvicorn.Config, listener: socket.socket, *, ended: Callable[[int], None]) -> None:
    """Serve with several processes; `uvicorn.run` does so only for an application that is named by a string.

    `ended` is called with the process id of each worker that was replaced.
    """
    Workers(config, listener, ended).run()
