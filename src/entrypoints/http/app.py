"""The application: routers, what stands before them, and what wraps them."""

from collections.abc import Sequence

from litestar import Litestar, Router
from litestar.config.cors import CORSConfig
from litestar.datastructures import State
from litestar.types import ASGIApp

from adapters.telemetry.logs import Pseudonyms
from adapters.telemetry.metrics import PrometheusMetrics
from application.fingerprints import Fingerprints
from application.ports import Randomness
from entrypoints.http.authentication import Authentication
from entrypoints.http.bodies import MAX_BODY_BYTES
from entrypoints.http.documentation import openapi
from entrypoints.http.edge import Edge
from entrypoints.http.raw_routes import give_parameters
from entrypoints.http.replies import exception_handlers
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
    allowed_origins: Sequence[str],
    is_talkative: bool,
) -> ASGIApp:
    """Return the ASGI application."""
    configuration, assets = openapi(version)
    cors = CORSConfig(
        allow_origins=list(allowed_origins),
        allow_credentials=True,
        allow_headers=["authorization", "content-type", "idempotency-key", "x-correlation-id"],
        expose_headers=["x-correlation-id", "idempotency-hit", "retry-after", "ratelimit", "ratelimit-policy"],
        max_age=600,
    )
    litestar = Litestar(
        [*routers, assets],
        middleware=[authentication],
        exception_handlers=exception_handlers(metrics),
        request_class=ApiRequest,
        state=State({FINGERPRINTS: fingerprints}),
        request_max_body_size=MAX_BODY_BYTES,
        openapi_config=configuration,
        cors_config=cors if allowed_origins else None,
        logging_config=None,
        debug=False,
    )
    give_parameters(litestar)
    shortcut = Shortcut(litestar, authentication, metrics)
    return Edge(shortcut, metrics=metrics, randomness=randomness, pseudonyms=pseudonyms, is_talkative=is_talkative)
