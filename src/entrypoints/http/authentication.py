"""Authentication: a bearer token, or a session cookie under the CSRF rule, becomes the principal of the request."""

from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from tallystick.adapters.telemetry.logs import logger
from tallystick.application.ports import Clock, Metrics
from tallystick.domain.identity import Principal, TokenVerifier
from tallystick.domain.refusals import Unauthenticated
from tallystick.domain.tokens import TokenRefused
from tallystick.entrypoints.http.refusals import CsrfRefused
from tallystick.entrypoints.http.request_context import RequestContext, context_of

SESSION_COOKIE = "tallystick_session"
STREAM_COOKIE = "tallystick_stream"
STREAM = "stream"
"""The option of raw handlers that answer with a stream, which the cookie of streams may read too."""
PUBLIC = "public"
"""The option of handlers that anyone may call."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_NOT_BEARER = TokenRefused("malformed", "Authorization: Bearer TOKEN")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_ORIGIN_SCHEMES = frozenset({*_DEFAULT_PORTS, "capacitor", "tauri", "chrome-extension"})
"""The schemes of web pages, and of apps that are built of web pages."""


class Authentication(ASGIMiddleware):
    """Puts the principal into the scope, or refuses the request."""

    exclude_opt_key = PUBLIC

    def __init__(
        self,
        bearers: Sequence[TokenVerifier],
        sessions: TokenVerifier | None,
        streams: TokenVerifier,
        own_origins: Collection[str],
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        """Without `sessions`, session cookies are ignored: the identity provider alone signs users in."""
        self._bearers, self._sessions, self._streams, self._metrics = bearers, sessions, streams, metrics
        self._clock = clock
        self._origins = frozenset(filter(None, map(origin_of, own_origins)))

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        context = context_of(scope)
        principal = await self.principal(context, str(scope.get("method", "")))
        context.principal = principal
        scope["user"], scope["auth"] = principal, None
        await next_app(scope, receive, send)

    async def principal(self, context: RequestContext, method: str) -> Principal:
        """Return the caller; Unauthenticated without valid credentials, CsrfRefused for a cookie from another origin.

        IdentityKeysUnavailable while tokens cannot be verified. The reason of a refused token is logged for operators.
        """
        headers = context.headers
        try:
            if b"authorization" in headers:
                return await self._by_bearer(context)
            token = cookie(headers, SESSION_COOKIE)
            if not token or self._sessions is None:
                raise Unauthenticated
            principal = await self._sessions.verify(token)
        except TokenRefused as refusal:
            report(refusal, context, self._metrics)
            raise
        if method not in _SAFE_METHODS and not self._is_from_allowed_origin(headers):
            raise CsrfRefused
        return principal

    async def reader(self, context: RequestContext) -> Principal:
        """Return the caller of a stream: by the cookie of streams where the request has no Authorization header.

        The failures are those of `principal`. A stream ends with its token, without the leeway of other requests: a
        token in its leeway would open streams that end at once.
        """
        token = cookie(context.headers, STREAM_COOKIE)
        is_by_cookie = token and b"authorization" not in context.headers
        principal = await (self._by_stream_cookie(token, context) if is_by_cookie else self.principal(context, "GET"))
        if principal.token_ends_at is not None and principal.token_ends_at <= self._clock.now().timestamp():
            refusal = TokenRefused("expired", "exp has not passed: a stream has no leeway")
            report(refusal, context, self._metrics)
            raise refusal
        return principal

    async def _by_stream_cookie(self, token: str, context: RequestContext) -> Principal:
        try:
            return await self._streams.verify(token)
        except TokenRefused as refusal:
            report(refusal, context, self._metrics)
            raise

    async def _by_bearer(self, context: RequestContext) -> Principal:
        """Return the principal of a bearer token, which the identity provider or sign-in has issued."""
        token = bearer_token(context.headers)
        if token is None:
            report(_NOT_BEARER, context, self._metrics)
            raise Unauthenticated
        refusals: list[TokenRefused] = []
        for verifier in self._bearers:
            try:
                return await verifier.verify(token)
            except TokenRefused as refusal:
                refusals.append(refusal)
        # The verifier whose key signed the token gives the most precise reason.
        raise next((refusal for refusal in refusals if refusal.is_signed), refusals[0])

    def _is_from_allowed_origin(self, headers: dict[bytes, bytes]) -> bool:
        """Return whether the browser states that the request comes from the app itself or from an allowed origin."""
        origin = headers.get(b"origin")
        if origin is not None:
            return origin.decode("latin-1") in self._origins
        return headers.get(b"sec-fetch-site") == b"same-origin"


def report(refusal: TokenRefused, context: RequestContext, metrics: Metrics) -> None:
    """Log and count why a token was refused, for the operator alone."""
    metrics.count("token_refusals", label=refusal.fault)
    logger().info(
        "token refused",
        reason=refusal.fault,
        expected=refusal.expected,
        sent_as="bearer" if b"authorization" in context.headers else "session cookie",
        correlation_id=context.correlation_id,
    )


def bearer_token(headers: dict[bytes, bytes]) -> str | None:
    """Return the token of the Authorization header; None where it is missing or of another scheme.

    The scheme is case-insensitive (RFC 9110).
    """
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    token = token.strip(" ")
    return token if token and scheme.lower() == "bearer" else None


def cookie(headers: dict[bytes, bytes], name: str) -> str:
    """Return the value of a cookie; empty if the cookie is missing."""
    raw = headers.get(b"cookie", b"")
    for part in raw.decode("latin-1").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value.strip('"')
    return ""


def origin_of(url: str) -> str:
    """Return the origin of a URL as browsers write it, without a default port; empty where it has none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return ""
    if parts.scheme not in _ORIGIN_SCHEMES or host is None:
        return ""
    default = _DEFAULT_PORTS.get(parts.scheme)
    address = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{address}" if port in {None, default} else f"{parts.scheme}://{address}:{port}"
