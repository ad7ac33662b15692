"""The request log: metrics and the span of every request, a line for failures, slow requests and, if set, writes."""

from typing import NamedTuple

from litestar.types import HTTPScope

from tallystick.adapters.telemetry.logs import Pseudonyms, logger
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.entrypoints.http.request_context import RequestContext

_UNMATCHED = "unmatched"
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_FIRST_REFUSAL, _FIRST_FAILURE = 400, 500


class LogRules(NamedTuple):
    """The rules that decide which successful requests are logged; failed ones always are."""

    slow_seconds: float = 1.0
    writes: bool = False
    all_requests: bool = False


class RequestLog:
    """Measures requests and logs them."""

    def __init__(self, metrics: PrometheusMetrics, pseudonyms: Pseudonyms, rules: LogRules) -> None:
        self._metrics, self._pseudonyms, self._rules = metrics, pseudonyms, rules

    def record(self, scope: HTTPScope, context: RequestContext, status: int, seconds: float) -> None:
        """Record a finished request; status 0 means that it was cut off before its reply began."""
        method, route = _place(scope)
        self.trace(scope, context, status)
        if not context.is_stream:
            self._metrics.request(method, route, status, seconds)
        if context.code:
            self._metrics.problem(route, context.code)
        if context.cause is not None:
            self._metrics.count("unavailable_replies", label=context.cause)
        is_failure = status >= _FIRST_FAILURE or not status
        if not (is_failure or status >= _FIRST_REFUSAL or self._is_worth_a_line(method, seconds, context)):
            return
        facts: dict[str, object] = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "correlation_id": context.correlation_id,
        }
        if context.code:
            facts["code"] = context.code
        if context.cause is not None:
            facts["cause"] = context.cause
        if context.sqlstate is not None:
            facts["sqlstate"] = context.sqlstate
        if context.principal is not None:
            facts["user"] = self._pseudonyms.of(context.principal.user_id)
        if is_failure:
            logger().warning("request", **facts)
        else:
            logger().info("request", **facts)

    def trace(self, scope: HTTPScope, context: RequestContext, status: int) -> None:
        """End the span of a request; that of a stream ends with the beginning of its reply."""
        span = context.span
        if span is None:
            return
        context.span = None
        method, route = _place(scope)
        span.note("http.request.method", method)
        span.note("http.route", route)
        span.note("http.response.status_code", status)
        span.note("tallystick.correlation_id", context.correlation_id)
        if context.code:
            span.note("tallystick.code", context.code)
        if status >= _FIRST_FAILURE or not status:
            span.fail(context.code or "CUT_OFF")
        span.end(f"{method} {route}")

    def _is_worth_a_line(self, method: str, seconds: float, context: RequestContext) -> bool:
        rules = self._rules
        is_slow = seconds >= rules.slow_seconds and not context.is_stream
        return rules.all_requests or is_slow or (rules.writes and method in _WRITES)


def _place(scope: HTTPScope) -> tuple[str, str]:
    """Return method and route template, each of a closed set."""
    method = scope["method"] if scope["method"] in _METHODS else "OTHER"
    return method, scope.get("path_template") or _UNMATCHED
