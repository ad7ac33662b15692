"""The metrics listener: a port for `/metrics` alone, served by the process that serves the API."""

import socket
from contextlib import AbstractAsyncContextManager

import uvicorn
from litestar.types import ASGIApp, Receive, Scope, Send

from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.ports import Randomness
from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.cors import Cors
from tallystick.entrypoints.http.internals import accepting
from tallystick.entrypoints.http.metrics_access import PATH, MetricsAccess
from tallystick.entrypoints.http.problems import send_problem
from tallystick.entrypoints.http.protocol import HttpProtocol
from tallystick.entrypoints.http.refusals import MethodNotAllowed, RouteNotFound
from tallystick.entrypoints.http.request_boundary import RequestBoundary
from tallystick.entrypoints.http.request_context import context_of, send_reply
from tallystick.entrypoints.http.request_log import LogRules, RequestLog


def metrics_app(
    metrics: PrometheusMetrics,
    access: MetricsAccess,
    *,
    randomness: Randomness,
    pseudonyms: Pseudonyms,
    log_rules: LogRules,
) -> ASGIApp:
    """Return the application of the listener: it serves one path, and answers all others with a problem."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  the names are ASGI's
        context = context_of(scope)
        try:
            if scope["path"] != PATH:
                raise RouteNotFound
            scope["path_template"] = PATH
            if scope.get("method") != "GET":
                raise MethodNotAllowed
            access.check_token(context)
        except Failure as failure:
            await send_problem(failure, context, send)
            return
        body, content_type = metrics.exposition()
        await send_reply(send, 200, f"{content_type}; charset=utf-8".encode(), body)

    return RequestBoundary(
        app,
        log=RequestLog(metrics, pseudonyms, log_rules),
        randomness=randomness,
        cors=Cors((), ()),
        methods=lambda path: ("GET", "HEAD", "OPTIONS") if path == PATH else (),
        is_stream=lambda _path: False,
    )


def serving(app: ASGIApp, listener: socket.socket) -> AbstractAsyncContextManager[None]:
    """Serve an application on a socket while the context is open.

    With several workers each of them accepts from the same socket; whichever does shows the sums of all.
    """
    config = uvicorn.Config(
        app,
        interface="asgi3",
        http=HttpProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
    )
    return accepting(HttpProtocol, config, listener)
