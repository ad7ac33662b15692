"""Cross-origin requests: which pages may call, and may read what they are answered (Fetch standard, CORS)."""

from collections.abc import Collection, Mapping, Sequence

Headers = Sequence[tuple[bytes, bytes]]

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_OWN_HEADERS = ("authorization", "content-type", "idempotency-key", "x-correlation-id")
_TRACING_HEADERS = ("traceparent", "tracestate", "baggage", "sentry-trace")
_CLIENT_HEADERS = (
    *("last-event-id", "apikey", "x-client-info", "prefer", "accept-profile", "content-profile"),
    "x-retry-count",
)
"""What event streams and the clients of Supabase send."""
_EXPOSED_HEADERS = (
    *("x-correlation-id", "idempotency-hit", "retry-after", "ratelimit", "ratelimit-policy", "www-authenticate"),
    *("allow", "accept-encoding"),
)
_MAX_AGE_SECONDS = 600
_VARY = (b"vary", b"Origin")


class Cors:
    """The headers for pages of the allowed origins. All values are built once."""

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
        # A cache must not give a page the answer that was meant for another one.
        self._for_others: Headers = (_VARY,) if origins else ()
        names = dict.fromkeys((*_OWN_HEADERS, *_TRACING_HEADERS, *_CLIENT_HEADERS, *map(str.lower, allowed_headers)))
        self._preflight: Headers = (
            (b"access-control-allow-methods", _METHODS.encode()),
            (b"access-control-allow-headers", ", ".join(names).encode()),
            (b"access-control-max-age", b"%d" % _MAX_AGE_SECONDS),
        )

    def headers(self, origin: bytes | None) -> Headers:
        """Return what every answer to a request of an origin carries."""
        return self._for_others if origin is None else self._by_origin.get(origin, self._for_others)

    def preflight(self, headers: Mapping[bytes, bytes]) -> Headers | None:
        """Return what the answer to an OPTIONS request carries; None where it is no preflight of an allowed origin."""
        if b"access-control-request-method" not in headers:
            return None
        return self._preflight if headers.get(b"origin", b"") in self._by_origin else None
