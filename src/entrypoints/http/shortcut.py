"""Dispatch of raw routes without the framework, whose routing and middleware cost as much as the routes do."""

import re
from typing import NamedTuple

from litestar import Litestar
from litestar.enums import ScopeType
from litestar.routes import ASGIRoute
from litestar.types import AnyCallable, Receive, Scope, Send

from tallystick.application.idempotency import Replayed
from tallystick.application.ports import Metrics, Randomness
from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.authentication import PUBLIC, STREAM, Authentication
from tallystick.entrypoints.http.event_streams import BUSY_STATUSES, send_end
from tallystick.entrypoints.http.problems import send_problem, status_of
from tallystick.entrypoints.http.raw_routes import OPERATION
from tallystick.entrypoints.http.refusals import MethodNotAllowed
from tallystick.entrypoints.http.replies import send_replay
from tallystick.entrypoints.http.request_context import context_of

_PARAMETER = re.compile(r"\\{(\w+)\\}")


class _Raw(NamedTuple):
    handle: AnyCallable
    method: str
    template: str
    is_public: bool
    is_stream: bool


class Shortcut:
    """Dispatches raw routes as the framework would, and every other request to the framework."""

    def __init__(
        self, framework: Litestar, authentication: Authentication, metrics: Metrics, randomness: Randomness
    ) -> None:
        self._framework, self._authentication, self._metrics = framework, authentication, metrics
        self._randomness = randomness
        raw = [route for route in framework.routes if isinstance(route, ASGIRoute)]
        routes = {route.path_format: _raw(route) for route in raw if OPERATION in route.route_handler.opt}
        self._plain = {path: route for path, route in routes.items() if "{" not in path}
        self._with_parameters = [(_pattern(path), route) for path, route in routes.items() if "{" in path]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._at(scope["path"]) if scope["type"] == ScopeType.HTTP else None
        if found is None:
            await self._framework(scope, receive, send)
            return
        context = context_of(scope)
        route, parameters = found
        scope["path_params"], scope["path_template"], scope["litestar_app"] = (
            parameters,
            route.template,
            self._framework,
        )
        try:
            if scope.get("method") != route.method:
                raise MethodNotAllowed
            if route.is_stream:
                context.principal = await self._authentication.reader(context)
            elif not route.is_public:
                context.principal = await self._authentication.principal(context, str(scope.get("method", "")))
            await route.handle(scope=scope, receive=receive, send=send)
        except Failure as failure:
            if route.is_stream and status_of(failure) in BUSY_STATUSES:
                context.record_failure(failure)
                await send_end(context, send, "busy", self._randomness)
                return
            await send_problem(failure, context, send)
        except Replayed as replay:
            await send_replay(replay, self._metrics, context, send)

    def is_stream(self, path: str) -> bool:
        """Return whether a path is one of a stream."""
        found = self._at(path)
        return found is not None and found[0].is_stream

    def _at(self, path: str) -> tuple[_Raw, dict[str, str]] | None:
        plain = self._plain.get(path)
        if plain is not None:
            return plain, {}
        for pattern, route in self._with_parameters:
            match = pattern.fullmatch(path)
            if match is not None:
                return route, match.groupdict()
        return None


def _raw(route: ASGIRoute) -> _Raw:
    handler = route.route_handler
    return _Raw(
        handler.fn, handler.opt[OPERATION].method, route.path_format, PUBLIC in handler.opt, STREAM in handler.opt
    )


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(_PARAMETER.sub(r"(?P<\1>[^/]+)", re.escape(path)))
