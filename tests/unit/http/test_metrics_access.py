"""Access to the metrics: by a listener, by a token, or from the same machine."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import httpx2
import pytest

from tallystick.entrypoints.providers.http import App, MetricsApp
from tallystick.entrypoints.wiring import build
from tests.http.services import BASE_URL, METRICS_TOKEN, Caller, settings


@asynccontextmanager
async def reached_from(peer: str, **changes: str | None) -> AsyncIterator[Caller]:
    """Serve in this process, with requests that come from an address."""
    container = build(settings(**{"metrics_token": None, **changes}), "memory")
    transport = httpx2.ASGITransport(await container.get(App), client=(peer, 50000))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        yield Caller(http)
    await container.close()


async def scrape(caller: Caller, headers: Mapping[str, str] | None = None) -> httpx2.Response:
    """Ask for the measurements with nothing but some headers."""
    return await caller.http.get("/metrics", headers=headers)


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"])
async def test_without_settings_they_are_read_on_the_machine_itself(peer: str) -> None:
    async with reached_from(peer) as caller:
        answer = await scrape(caller)

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")


@pytest.mark.parametrize("peer", ["203.0.113.7", "10.0.0.7", "2001:db8::1", "::ffff:10.0.0.7", "unix", ""])
async def test_nobody_else_reads_them(peer: str) -> None:
    async with reached_from(peer) as caller:
        refused = await scrape(caller)

    assert (refused.status_code, refused.json()["code"]) == (403, "METRICS_REFUSED")
    assert "TALLYSTICK_METRICS_TOKEN" in refused.json()["detail"]


@pytest.mark.parametrize(
    "header",
    [
        *("X-Forwarded-For: 127.0.0.1", "Forwarded: for=127.0.0.1", "X-Real-IP: 127.0.0.1", "Via: 1.1 proxy"),
        *("X-Forwarded-Proto: https", "X-Forwarded-Host: localhost", "CF-Connecting-IP: 127.0.0.1"),
    ],
)
async def test_a_request_that_a_proxy_on_the_machine_forwards_is_of_somebody_else(header: str) -> None:
    name, _, value = header.partition(": ")
    async with reached_from("127.0.0.1", trusted_proxies="127.0.0.1") as caller:
        refused = await scrape(caller, {name: value})

    assert refused.status_code == 403


async def test_with_a_token_it_is_asked_for_everywhere() -> None:
    for peer in ("127.0.0.1", "203.0.113.7"):
        async with reached_from(peer, metrics_token=METRICS_TOKEN) as caller:
            for authorization in ("", "Bearer", "Bearer x", f"Basic {METRICS_TOKEN}", METRICS_TOKEN, "Bearer \xe4"):
                raw = [(b"authorization", authorization.encode("latin-1"))]
                refused = await caller.http.get("/metrics", headers=raw)
                assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED"), authorization
                assert refused.headers["www-authenticate"].startswith("Bearer")
            for scheme in ("Bearer", "bearer"):
                assert (await scrape(caller, {"authorization": f"{scheme} {METRICS_TOKEN}"})).status_code == 200


async def test_each_of_several_tokens_is_taken_while_they_rotate() -> None:
    async with reached_from("203.0.113.7", metrics_token=f"another-token-of-theirs {METRICS_TOKEN}") as caller:
        for token in ("another-token-of-theirs", METRICS_TOKEN):
            assert (await scrape(caller, {"authorization": f"Bearer {token}"})).status_code == 200


async def test_with_a_listener_of_their_own_they_are_gone_from_the_api() -> None:
    async with reached_from("127.0.0.1", metrics_address="127.0.0.1:0") as caller:
        refused = await scrape(caller)

    assert (refused.status_code, refused.json()["code"]) == (404, "NOT_FOUND")


async def test_the_listener_serves_nothing_else() -> None:
    container = build(settings(metrics_address="127.0.0.1:0", metrics_token=None), "memory")
    transport = httpx2.ASGITransport(await container.get(MetricsApp), client=("203.0.113.7", 50000))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        answers = [await http.get("/metrics"), await http.head("/metrics"), await http.get("/api/me")]
        wrong = await http.post("/metrics")
    await container.close()

    assert [answer.status_code for answer in answers] == [200, 200, 404]
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS")


async def test_the_listener_asks_for_the_token_where_there_is_one() -> None:
    container = build(settings(metrics_address="127.0.0.1:0"), "memory")
    transport = httpx2.ASGITransport(await container.get(MetricsApp), client=("127.0.0.1", 50000))
    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        statuses = [
            (await http.get("/metrics", headers=headers)).status_code
            for headers in ({}, {"authorization": f"Bearer {METRICS_TOKEN}"})
        ]
    await container.close()

    assert statuses == [401, 200]
