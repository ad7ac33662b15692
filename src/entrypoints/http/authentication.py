"""Authentication: a bearer token, or a session cookie under the CSRF rule, becomes the principal of the request."""

from collections.abc import Collection, Sequence
from contextlib import suppress
from urllib.parse import urlsplit

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from domain.identity import Principal, TokenVerifier
from domain.refusals import Unauthenticated
from entrypoints.http.exchange import exchange_of
from entrypoints.http.refusals import CsrfRefused

SESSION_COOKIE = "tallystick_session"
PUBLIC = "public"
"""The option of handlers that anyone may call."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_COOKIE_BYTES = 8192


class Authentication(ASGIMiddleware):
    """Puts the principal into the scope, or refuses the request."""

    exclude_opt_key = PUBLIC

    def __init__(
        self, bearers: Sequence[TokenVerifier], sessions: TokenVerifier | None, own_origins: Collection[str]
    ) -> None:
        """Without `sessions` no cookie is taken: an identity provider signs users in."""
        self._bearers, self._sessions = bearers, sessions
        self._origins = frozenset(filter(None, map(origin_of, own_origins)))

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        exchange = exchange_of(scope)
        principal = await self.principal(exchange.headers, str(scope.get("method", "")))
        exchange.principal = principal
        scope["user"], scope["auth"] = principal, None
        await next_app(scope, receive, send)

    async def principal(self, headers: dict[bytes, bytes], method: str) -> Principal:
        """Return who asks; Unauthenticated or CsrfRefused where nobody is known."""
        authorization = headers.get(b"authorization")
        if authorization is not None:
            scheme, _, token = authorization.decode("latin-1").partition(" ")
            if scheme.lower() != "bearer":
                raise Unauthenticated
            return await self._bearer(token.strip(" "))
        token = cookie(headers, SESSION_COOKIE)
        if not token or self._sessions is None:
            raise Unauthenticated
        principal = await self._sessions.verify(token)
        if method not in _SAFE_METHODS and not self._is_from_here(headers):
            raise CsrfRefused
        return principal

    async def _bearer(self, token: str) -> Principal:
        """Return whom a token speaks for: the provider's, or one that sign-in gave out."""
        for verifier in self._bearers[:-1]:
            with suppress(Unauthenticated):
                return await verifier.verify(token)
        return await self._bearers[-1].verify(token)

    def _is_from_here(self, headers: dict[bytes, bytes]) -> bool:
        """Tell whether a browser says that the request comes from the app itself or from an allowed origin."""
        origin = headers.get(b"origin")
        if origin is not None:
            return origin.decode("latin-1") in self._origins
        return headers.get(b"sec-fetch-site") == b"same-origin"


def cookie(headers: dict[bytes, bytes], name: str) -> str:
    """Return a cookie's value, empty where it is missing or the header is none."""
    raw = headers.get(b"cookie", b"")
    if not raw or len(raw) > _MAX_COOKIE_BYTES:
        return ""
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
    default = {"http": 80, "https": 443}.get(parts.scheme)
    if default is None or host is None:
        return ""
    address = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{address}" if port in {None, default} else f"{parts.scheme}://{address}:{port}"
