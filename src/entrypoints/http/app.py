"""The application: the routers, their middleware, and the request boundary around them."""

from collections.abc import Mapping, Sequence

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.types import ASGIApp

from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.fingerprints import Fingerprints
from tallystick.application.ports import Randomness
from tallystick.application.tracing import Tracer
from tallystick.entrypoints.http.authentication import Authentication
from tallystick.entrypoints.http.bodies import MAX_BODY_BYTES
from tallystick.entrypoints.http.caller_guard import CallerGuard
from tallystick.entrypoints.http.cors import Cors
from tallystick.entrypoints.http.document.documented_routes import routes_of
from tallystick.entrypoints.http.document.pages import document_routers
from tallystick.entrypoints.http.functions.calls import FunctionCalls
from tallystick.entrypoints.http.functions.manifest import methods_of
from tallystick.entrypoints.http.internals import RouteTable, give_parameters
from tallystick.entrypoints.http.parameters import give_shapes
from tallystick.entrypoints.http.raw_routes import raw_method
from tallystick.entrypoints.http.replies import exception_handlers
from tallystick.entrypoints.http.request_boundary import RequestBoundary
from tallystick.entrypoints.http.request_log import LogRules, RequestLog
from tallystick.entrypoints.http.requests import FINGERPRINTS, ApiRequest
from tallystick.entrypoints.http.shortcut import Shortcut


def build_framework(
    routers: Sequence[Router],
    *,
    authentication: Authentication,
    metrics: PrometheusMetrics,
    fingerprints: Fingerprints,
    version: str,
    servers: Sequence[Mapping[str, str]],
) -> Litestar:
    """Return the framework's application with all routes; the document of the API is rendered from them."""
    framework = Litestar(
        [*routers, *document_routers(version, servers)],
        middleware=[authentication],
        exception_handlers=exception_handlers(metrics),
        request_class=ApiRequest,
        state=State({FINGERPRINTS: fingerprints}),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=None,
        logging_config=None,
        debug=False,
    )
    give_parameters(framework)
    give_shapes(framework)
    return framework


def build_app(
    framework: Litestar,
    *,
    authentication: Authentication,
    caller_guard: CallerGuard,
    metrics: PrometheusMetrics,
    randomness: Randomness,
    pseudonyms: Pseudonyms,
    cors: Cors,
    log_rules: LogRules,
    tracer: Tracer,
) -> ASGIApp:
    """Return the ASGI application."""
    shortcut = Shortcut(framework, authentication, metrics, randomness)
    routes = {route.name: route for route in routes_of(framework)}
    table = RouteTable(framework, raw_method)
    boundary = RequestBoundary(
        FunctionCalls(shortcut, routes, authentication, caller_guard),
        log=RequestLog(metrics, pseudonyms, log_rules),
        randomness=randomness,
        cors=cors,
        methods=lambda path: methods_of(path) or table.methods(path),
        is_stream=shortcut.is_stream,
        tracer=tracer,
    )
    metrics.watch("requests_in_flight", lambda: boundary.in_flight)
    return boundary
