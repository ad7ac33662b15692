"""Access to the metrics: by a listener of their own, by a token, or from the same machine alone."""

import hmac
from collections.abc import Mapping
from ipaddress import ip_address
from typing import NamedTuple

from tallystick.entrypoints.http.refusals import MetricsRefused, MetricsTokenRefused, RouteNotFound
from tallystick.entrypoints.http.request_context import RequestContext

PATH = "/metrics"
_FORWARDED = (
    *(b"forwarded", b"via", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-port"),
    *(b"x-forwarded-server", b"x-forwarded", b"x-real-ip", b"x-client-ip", b"x-cluster-client-ip"),
    *(b"true-client-ip", b"cf-connecting-ip", b"fly-client-ip", b"fastly-client-ip", b"x-envoy-external-address"),
    *(b"x-original-host", b"x-original-forwarded-for"),
)
"""Headers that proxies add. Behind a proxy on this machine, every request seems to come from this machine."""


class MetricsAccess(NamedTuple):
    """The rules for access to `/metrics`."""

    tokens: tuple[str, ...] = ()
    """Each of them grants access; there are several while they rotate."""
    has_listener: bool = False

    def check(self, context: RequestContext) -> None:
        """Check a request to the API's own address; RouteNotFound, MetricsTokenRefused or MetricsRefused."""
        if self.has_listener:
            raise RouteNotFound
        if self.tokens:
            self.check_token(context)
        elif not _is_local(context.peer, context.headers):
            raise MetricsRefused

    def check_token(self, context: RequestContext) -> None:
        """Check a request to the metrics listener, which is open to its network if there is no token."""
        if not self.tokens:
            return
        scheme, _, given = context.headers.get(b"authorization", b"").partition(b" ")
        given = given.strip(b" ")
        is_known = any(hmac.compare_digest(given, token.encode()) for token in self.tokens)
        if scheme.lower() != b"bearer" or not is_known:
            raise MetricsTokenRefused(has_token=scheme.lower() == b"bearer" and bool(given))


def _is_local(peer: str, headers: Mapping[bytes, bytes]) -> bool:
    """Return whether a request was made on this machine, and not forwarded by a proxy."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback) and not any(name in headers for name in _FORWARDED)
