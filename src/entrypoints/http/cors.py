"""Cross-origin requests: the origins that may call the API and read its replies (Fetch standard, CORS)."""

from collections.abc import Collection, Mapping, Sequence

Headers = Sequence[tuple[bytes, bytes]]

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_OWN_HEADERS = ("authorization", "content-type", "idempotency-key", "x-correlation-id")
_TRACING_HEADERS = ("traceparent", "tracestate", "baggage", "sentry-trace")
_CLIENT_HEADERS = (
    *("last-event-id", "apikey", "x-client-info", "prefer", "accept-profile", "content-profile"),
    "x-retry-count",
)
"""Headers that event streams and the clients of Supabase send."""
_EXPOSED_HEADERS = (
    *("x-correlation-id", "idempotency-hit", "retry-after", "ratelimit", "ratelimit-policy", "www-authenticate"),
    *("allow", "accept-encoding", "content-range", "preference-applied"),
)
_MAX_AGE_SECONDS = 600
_VARY = (b"vary", b"Origin")


class Cors:
    """The CORS headers of the allowed origins, all built once."""

    def __init__(self, origins: Collection[str], allowed_headers: Collection[str]) -> None:
        exposed = (b"access-control-expose-headers", ", ".join(_EXPOSED_HEADERS).encode())
        self._by_origin: Mapping[bytes, Headers] = {
            origin.encode(): (
                (b"access-control-allow-origin", origin.encode()),
                (b"access-control-allow-credentials", b"true"),
                exposed,
                _VARY,
            )
            for origin in origins
        }
        # A cache must not serve a reply for one origin to another origin.
        self._for_others: Headers = (_VARY,) if origins else ()
        names = dict.fromkeys((*_OWN_HEADERS, *_TRACING_HEADERS, *_CLIENT_HEADERS, *map(str.lower, allowed_headers)))
        self._preflight: Headers = (
            (b"access-control-allow-methods", _METHODS.encode()),
            (b"access-control-allow-headers", ", ".join(names).encode()),
            (b"access-control-max-age", b"%d" % _MAX_AGE_SECONDS),
        )

    def headers(self, origin: bytes | None) -> Headers:
        """Return the headers of every reply to a request from an origin."""
        return self._for_others if origin is None else self._by_origin.get(origin, self._for_others)

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers | None:
        """Return the headers of the reply to a preflight; None for any other request and for other origins."""
        if b"access-control-request-method" not in headers:
            return None
        return self._preflight if headers.get(b"origin", b"") in self._by_origin else None
