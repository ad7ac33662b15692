"""The application: routers, what stands before them, and what wraps them."""

from collections.abc import Sequence

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.types import ASGIApp

from adapters.telemetry.logs import Pseudonyms
from adapters.telemetry.metrics import PrometheusMetrics
from application.fingerprints import Fingerprints
from application.ports import Randomness
from entrypoints.http.authentication import Authentication
from entrypoints.http.bodies import MAX_BODY_BYTES
from entrypoints.http.cors import Cors
from entrypoints.http.documentation import openapi
from entrypoints.http.edge import Edge
from entrypoints.http.internals import RouteTable, give_parameters
from entrypoints.http.parameters import give_shapes
from entrypoints.http.replies import exception_handlers
from entrypoints.http.request_log import LogRules, RequestLog
from entrypoints.http.requests import FINGERPRINTS, ApiRequest
from entrypoints.http.shortcut import Shortcut


def build_app(
    routers: Sequence[Router],
    *,
    authentication: Authentication,
    metrics: PrometheusMetrics,
    randomness: Randomness,
    pseudonyms: Pseudonyms,
    fingerprints: Fingerprints,
    version: str,
    cors: Cors,
    log_rules: LogRules,
) -> ASGIApp:
    """Return the ASGI application."""
    configuration, assets = openapi(version)
    litestar = Litestar(
        [*routers, assets],
        middleware=[authentication],
        exception_handlers=exception_handlers(metrics),
        request_class=ApiRequest,
        state=State({FINGERPRINTS: fingerprints}),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=configuration,
        logging_config=None,
        debug=False,
    )
    give_parameters(litestar)
    give_shapes(litestar)
    return Edge(
        Shortcut(litestar, authentication, metrics),
        log=RequestLog(metrics, pseudonyms, log_rules),
        randomness=randomness,
        cors=cors,
        methods=RouteTable(litestar).methods,
    )
