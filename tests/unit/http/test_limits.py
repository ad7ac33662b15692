"""Limits counted in this process, and whom a request is counted as."""

from entrypoints.http.exchange import Exchange, TrustedProxies
from tests.services import Serve
from tests.unit.behaviours.http_limits import LimitedRoutesBehaviour


class TestLimitedRoutes(LimitedRoutesBehaviour): ...


def client(peer: str, *forwarded: str, proxies: str = "") -> str:
    """Return whom a request from a peer, with some X-Forwarded-For, is counted as."""
    headers = {b"x-forwarded-for": ", ".join(forwarded).encode()} if forwarded else {}
    return TrustedProxies(proxies.split()).client(Exchange("id", headers, peer))


def test_without_proxies_nobody_is_believed() -> None:
    assert client("203.0.113.7", "1.2.3.4") == "203.0.113.7"


def test_behind_a_listed_proxy_the_last_hop_counts() -> None:
    assert client("10.0.0.1", "6.6.6.6", "203.0.113.7", proxies="10.0.0.0/8") == "203.0.113.7"


def test_hops_of_listed_proxies_are_passed_over_from_the_right() -> None:
    assert client("10.0.0.1", "6.6.6.6", "203.0.113.7", "10.0.0.2", proxies="10.0.0.0/8") == "203.0.113.7"


def test_an_ipv4_caller_of_a_listener_for_both_kinds_is_themselves() -> None:
    assert client("::ffff:203.0.113.7") == client("203.0.113.7") == "203.0.113.7"
    assert client("::ffff:10.0.0.1", "203.0.113.7", proxies="10.0.0.0/8") == "203.0.113.7"
    assert client("10.0.0.1", "::ffff:203.0.113.7", proxies="10.0.0.0/8") == "203.0.113.7"


def test_what_is_no_address_ends_the_search() -> None:
    assert client("10.0.0.1", "203.0.113.7", "unknown", proxies="10.0.0.0/8") == "10.0.0.1"
    assert client("10.0.0.1", "", proxies="10.0.0.0/8") == "10.0.0.1"
    assert client("10.0.0.1", proxies="10.0.0.0/8") == "10.0.0.1"


def test_an_ipv6_caller_is_counted_by_its_site() -> None:
    assert client("2001:db8:1:2::3") == client("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert client("2001:db8:1:3::3") != client("2001:db8:1:2::3")


async def test_clients_behind_a_proxy_are_counted_one_by_one(serve: Serve) -> None:
    anyone = await serve(rate_limits="resolver=1/minute", trusted_proxies="203.0.113.7")

    statuses = [
        (await anyone.get("/api/referral/resolve", headers={"x-forwarded-for": hops})).status_code
        for hops in ("198.51.100.1", "198.51.100.1", "198.51.100.2", "1.1.1.1, 198.51.100.2")
    ]

    assert statuses == [200, 429, 200, 429]


async def test_a_forged_hop_does_not_help_without_a_proxy(serve: Serve) -> None:
    anyone = await serve(rate_limits="resolver=1/minute")

    statuses = [
        (await anyone.get("/api/referral/resolve", headers={"x-forwarded-for": hop})).status_code
        for hop in ("198.51.100.1", "198.51.100.2")
    ]

    assert statuses == [200, 429]
