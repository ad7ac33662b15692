"""The outermost layer: correlation, bounds, measurement, and an answer whatever happens inside."""

import asyncio
from time import perf_counter

from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from adapters.telemetry.logs import Pseudonyms, logger
from adapters.telemetry.metrics import PrometheusMetrics
from application.ports import Randomness
from domain.refusals import Overloaded, Refusal
from entrypoints.http.bodies import ClientGone
from entrypoints.http.exchange import MAX_HEADER_BYTES, MAX_TARGET_BYTES, Exchange, correlation_id_of, headers_of
from entrypoints.http.problems import send_problem
from entrypoints.http.refusals import HeadersTooLarge, InternalError, UriTooLong

MAX_IN_FLIGHT = 8192
_UNMATCHED = "unmatched"
_NO_STORE = (b"cache-control", b"no-store")
_NO_SNIFFING = (b"x-content-type-options", b"nosniff")
_DOCUMENTATION = "/schema"
_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"})
_FIRST_REFUSAL, _FIRST_FAILURE = 400, 500


class Edge:
    """Wraps the application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        metrics: PrometheusMetrics,
        randomness: Randomness,
        pseudonyms: Pseudonyms,
        is_talkative: bool = False,
    ) -> None:
        self._app, self._metrics, self._randomness, self._pseudonyms = app, metrics, randomness, pseudonyms
        self._is_talkative = is_talkative
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started = perf_counter()
        headers, header_bytes = headers_of(scope)
        correlation_id = correlation_id_of(headers) or self._randomness.bytes(16).hex()
        client = scope["client"]
        exchange = Exchange(correlation_id, headers, client[0] if client else "")
        exchange.reply_headers += ((b"x-correlation-id", correlation_id.encode()), _NO_SNIFFING)
        if not scope["path"].startswith(_DOCUMENTATION):
            exchange.reply_headers.append(_NO_STORE)
        scope.setdefault("state", {})["exchange"] = exchange
        status = 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *exchange.reply_headers]
            await send(message)

        self._in_flight += 1
        try:
            refusal = self._refusal(scope, header_bytes)
            if refusal is not None:
                await send_problem(refusal, correlation_id, send_with_headers)
            else:
                await self._app(scope, receive, send_with_headers)
        except ClientGone:
            pass
        except asyncio.CancelledError:
            logger().warning("request cut off by the end of the server", correlation_id=correlation_id)
            raise
        except Exception as error:  # noqa: BLE001  nothing behind this line could answer
            logger().error("request failed", correlation_id=correlation_id, error=error)
            if not status:
                await send_problem(InternalError(), correlation_id, send_with_headers)
        finally:
            self._in_flight -= 1
            self._tell(scope, exchange, status, perf_counter() - started)

    def _refusal(self, scope: HTTPScope, header_bytes: int) -> Refusal | None:
        """Return why a request is not even looked at."""
        if self._in_flight > MAX_IN_FLIGHT:
            return Overloaded()
        if len(scope["raw_path"]) + len(scope["query_string"]) > MAX_TARGET_BYTES:
            return UriTooLong(MAX_TARGET_BYTES)
        if header_bytes > MAX_HEADER_BYTES:
            return HeadersTooLarge(MAX_HEADER_BYTES)
        return None

    def _tell(self, scope: HTTPScope, exchange: Exchange, status: int, seconds: float) -> None:
        route = scope.get("path_template") or _UNMATCHED
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        self._metrics.request(method, route, status, seconds)
        is_failure = status >= _FIRST_FAILURE or not status
        if not (is_failure or self._is_talkative or status >= _FIRST_REFUSAL):
            return
        facts: dict[str, object] = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(seconds * 1000, 2),
            "correlation_id": exchange.correlation_id,
        }
        if exchange.principal is not None:
            facts["user"] = self._pseudonyms.of(exchange.principal.user_id)
        if is_failure:
            logger().warning("request", **facts)
        else:
            logger().info("request", **facts)
