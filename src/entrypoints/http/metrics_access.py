"""Who may read the measurements: on a listener of their own, with a token, or on this machine alone."""

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
"""What proxies add: one on this machine makes every request come from here."""


class MetricsAccess(NamedTuple):
    """How `/metrics` is guarded."""

    tokens: tuple[str, ...] = ()
    """Several while they rotate; each is enough."""
    has_listener: bool = False

    def check(self, context: RequestContext) -> None:
        """Check a request on the address of the API; RouteNotFound, MetricsTokenRefused or MetricsRefused."""
        if self.has_listener:
            raise RouteNotFound
        if self.tokens:
            self.check_token(context)
        elif not _is_local(context.peer, context.headers):
            raise MetricsRefused

    def check_token(self, context: RequestContext) -> None:
        """Check a request on the listener of their own, which is as open as its address where there is no token."""
        if not self.tokens:
            return
        scheme, _, given = context.headers.get(b"authorization", b"").partition(b" ")
        given = given.strip(b" ")
        is_known = any(hmac.compare_digest(given, token.encode()) for token in self.tokens)
        if scheme.lower() != b"bearer" or not is_known:
            raise MetricsTokenRefused(has_token=scheme.lower() == b"bearer" and bool(given))


def _is_local(peer: str, headers: Mapping[bytes, bytes]) -> bool:
    """Tell whether a request was made on this machine; what a proxy forwards was not."""
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback) and not any(name in headers for name in _FORWARDED)
