"""Limits counted in this process, and whom a request is counted as."""

import json

import pytest

from tallystick.adapters.telemetry.logs import configure
from tallystick.entrypoints.http.clients import TrustedProxies
from tallystick.entrypoints.http.request_context import RequestContext
from tests.http.services import Serve


def client(peer: str, *forwarded: str, proxies: str = "") -> str:
    """Return whom a request from a peer, with some X-Forwarded-For, is counted as."""
    headers = {b"x-forwarded-for": ", ".join(forwarded).encode()} if forwarded else {}
    return TrustedProxies(proxies.split()).client(RequestContext("id", headers, peer))


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


@pytest.mark.parametrize(
    ("hop", "counted"),
    [
        ("203.0.114.7:51234", "203.0.114.7"),
        ("203.0.114.7", "203.0.114.7"),
        ('"203.0.114.7:51234"', "203.0.114.7"),
        ("[2001:db8::1]:4711", "2001:db8::/64"),
        ('"[2001:db8::1]:4711"', "2001:db8::/64"),
        ('"[2001:db8::1]"', "2001:db8::/64"),
        ("[2001:db8::1]", "2001:db8::/64"),
        ("2001:db8::1", "2001:db8::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("[fe80::1%25eth0]:80", "fe80::/64"),
        ("::ffff:203.0.114.7", "203.0.114.7"),
        ("[::ffff:203.0.114.7]:1", "203.0.114.7"),
    ],
)
def test_a_hop_is_read_as_proxies_write_it(hop: str, counted: str, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")

    assert client("10.0.0.1", hop, proxies="10.0.0.0/8") == counted
    assert client("10.0.0.1", "6.6.6.6", hop, "10.0.0.2:4711", proxies="10.0.0.0/8") == counted
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("hop", "shape"),
    [
        ("unknown", "aaaaaaa"),
        ("_hidden", "_aaaaaa"),
        ("203.0.114.7:port", "999.9.999.9:aaaa"),
        ("203.0.114.7:999999", "999.9.999.9:999999"),
        ("203.0.114", "999.9.999"),
        ("[2001:db8::1", "[9999:aa9::9"),
        ("ada@example.org", "aaa?aaaaaaa.aaa"),
        ("x" * 500, "a" * 48),
        ("", ""),
        ("\xff\x00", "??"),
    ],
)
def test_a_hop_that_cannot_be_read_is_logged_once_by_its_shape(
    hop: str, shape: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    proxies = TrustedProxies(["10.0.0.0/8"])

    context = RequestContext("id", {b"x-forwarded-for": hop.encode("latin-1")}, "10.0.0.1")
    counted = {proxies.client(context) for _ in range(3)}

    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (counted, line["level"], line["shape"]) == ({"10.0.0.1"}, "warning", shape)
    assert "counted by the proxy" in line["event"]


@pytest.mark.parametrize(
    ("peer", "proxies", "named"),
    [
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", "192.168.0.0/16", "10.0.0.1"),
        ("8.8.8.8", "", "a public address"),
    ],
)
def test_a_header_that_is_not_believed_is_logged_once_with_the_setting(
    peer: str, proxies: str, named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    trusted = TrustedProxies(proxies.split())

    counted = {trusted.client(RequestContext("id", {b"x-forwarded-for": b"203.0.114.7"}, peer)) for _ in range(3)}

    (line,) = map(json.loads, capsys.readouterr().out.splitlines())
    assert (counted, line["level"], line["peer"]) == ({peer}, "warning", named)
    assert "TALLYSTICK_TRUSTED_PROXIES" in line["event"]


def test_a_text_that_is_no_address_ends_the_search() -> None:
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
