"""Client addresses: the peer's own, or the one that trusted proxies report in X-Forwarded-For."""

import re
from collections.abc import Collection
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from tallystick.adapters.telemetry.logs import logger
from tallystick.entrypoints.http.request_context import RequestContext

_IPV6_SITE_BITS = 64
_HOP = re.compile(
    r"""\s*"?
    (?: \[ ([0-9A-Fa-f:.]+) (?:%[^\]]*)? \] (?: :\d{1,5} )?   # [2001:db8::1]:4711, [fe80::1%eth0]
      | ([0-9.]+) :\d{1,5}                                   # 203.0.114.7:51234
      | ([0-9A-Fa-f:.]+) (?: %[^\s"]* )?                      # 203.0.114.7, 2001:db8::1
    )"?\s*\Z""",
    re.VERBOSE,
)
"""An address as proxies write it: with or without a port, brackets, quotes and a zone."""
_LONGEST_SHAPE = 48
_UNBELIEVED = (
    "X-Forwarded-For is not believed: the peer is not listed in TALLYSTICK_TRUSTED_PROXIES, so that all clients behind "
    "it share one rate limit; list the proxy there, or let it remove the header"
)
_UNREADABLE = (
    "a hop of X-Forwarded-For is not an address; requests that come through it are counted by the proxy that named it"
)


class TrustedProxies:
    """Finds the client in X-Forwarded-For, read from the right for as long as each hop is a trusted proxy."""

    def __init__(self, networks: Collection[str]) -> None:
        self._networks = [ip_network(network, strict=False) for network in networks]
        self._is_unbelieved_logged = self._is_unreadable_logged = False

    def client(self, context: RequestContext) -> str:
        """Return what an unknown caller is counted by: the IPv4 address, or the /64 network of the IPv6 address."""
        address = _address(context.peer)
        forwarded = context.headers.get(b"x-forwarded-for")
        if forwarded is not None and address is not None:
            address = self._forwarded(address, forwarded.decode("latin-1").split(","))
        if isinstance(address, IPv6Address):
            return str(ip_network((address, _IPV6_SITE_BITS), strict=False))
        return str(address) if address is not None else context.peer

    def _forwarded(self, peer: IPv4Address | IPv6Address, hops: list[str]) -> IPv4Address | IPv6Address:
        """Return the address that the trusted proxies report; for an unreadable hop, the address of its proxy."""
        if not self._is_trusted(peer):
            self._log_unbelieved(peer)
        address = peer
        while hops and self._is_trusted(address):
            text = hops.pop()
            hop = _hop(text)
            if hop is None:
                self._log_unreadable(text)
                break
            address = hop
        return address

    def _is_trusted(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._networks)

    def _log_unbelieved(self, peer: IPv4Address | IPv6Address) -> None:
        """Log it once a process. A public address is personal data and stays out of the log."""
        if not self._is_unbelieved_logged:
            self._is_unbelieved_logged = True
            logger().warning(_UNBELIEVED, peer=str(peer) if peer.is_private else "a public address")

    def _log_unreadable(self, text: str) -> None:
        """Log it once a process, as a pattern without personal data: letters as `a`, digits as `9`."""
        if not self._is_unreadable_logged:
            self._is_unreadable_logged = True
            logger().warning(_UNREADABLE, shape=_shape(text.strip()))


def _shape(text: str) -> str:
    shape = re.sub("[0-9]", "9", re.sub("[A-Za-z]", "a", text[:_LONGEST_SHAPE]))
    return re.sub(r"""[^9a.:%"\[\]/_-]""", "?", shape)


def _hop(text: str) -> IPv4Address | IPv6Address | None:
    found = _HOP.match(text)
    return _address(found[1] or found[2] or found[3]) if found is not None else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """Return an address. An IPv4-mapped IPv6 address, which dual-stack listeners show, becomes the IPv4 address."""
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address
