"""Traces of a started server, at a real collector over loopback: relations, facts, and a collector that is gone."""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from tests.http.collector import ReceivedSpan, collecting, hanging
from tests.http.services import JWT_SECRET, METRICS_TOKEN, WEBHOOK_SECRET, Caller
from tests.http.wallets import bought, funded, offered
from tests.processes.service import Process

TRACE, CALLER = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
PURCHASE = "POST /api/rewards/{reward_id}/purchase"
BUYERS = 16
DROPPED = re.compile(r'^tallystick_trace_spans_dropped_total\{reason="not_sent"\} ([0-9.]+)$', re.MULTILINE)


@asynccontextmanager
async def serving(folder: Path, collector: str, *, ratio: str) -> AsyncIterator[tuple[Caller, Process]]:
    """Run a server that sends its traces to a collector."""
    server = Process(
        *("serve", "--port", "0"),
        folder=folder,
        environment={
            "TALLYSTICK_JWT_SECRET": JWT_SECRET,
            "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET,
            "TALLYSTICK_METRICS_TOKEN": METRICS_TOKEN,
            "TALLYSTICK_RATE_LIMITS": "off",
            "TALLYSTICK_OTLP_ENDPOINT": collector,
            "TALLYSTICK_OTLP_HEADERS": "x-team=ours",
            "TALLYSTICK_TRACE_RATIO": ratio,
        },
    )
    try:
        async with httpx2.AsyncClient(base_url=server.wait_until_listening(), timeout=30) as http:
            yield Caller(http), server
    finally:
        server.end()


def of_trace(spans: list[ReceivedSpan]) -> list[ReceivedSpan]:
    """Return the spans of the caller's trace."""
    return [span for span in spans if span.trace_id == TRACE]


async def test_a_traced_request_is_one_tree_down_to_the_statements(tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(tmp_path, collector.address, ratio="0") as (anyone, _):
            ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
            await bought(ada, reward_id, headers={"traceparent": TRACEPARENT, "x-correlation-id": "purchase-1"})
            spans = await asyncio.to_thread(
                collector.wait_for, lambda spans: any(span.name == PURCHASE for span in of_trace(spans))
            )

    assert of_trace(spans) == spans, "requests without a sampled parent are not recorded at a ratio of 0"
    by_id = {span.span_id: span for span in spans}
    (request,), (batch,) = named(spans, PURCHASE), named(spans, "purchase_rewards")
    assert request.parent_id == CALLER
    assert request.facts == {
        "http.request.method": "POST",
        "http.route": "/api/rewards/{reward_id}/purchase",
        "http.response.status_code": 200,
        "tallystick.correlation_id": "purchase-1",
    }
    assert by_id[batch.parent_id] is request
    calls = [span for span in spans if span.parent_id == batch.span_id]
    assert {"transactions.begin", "ledger.lock", "rewards.sell", "transactions.commit"} <= {span.name for span in calls}
    assert {call.name: call.facts for call in calls}["ledger.lock"] == {"tallystick.rows": 1}
    assert collector.headers["x-team"] == "ours"


async def test_a_batch_of_purchases_is_linked_with_its_requests(tmp_path: Path) -> None:
    with collecting() as collector:
        async with serving(tmp_path, collector.address, ratio="1") as (anyone, _):
            reward_id = await offered(anyone, 40)
            buyers = [await funded(anyone, f"buyer{number}", 100) for number in range(BUYERS)]
            await asyncio.gather(*(bought(buyer, reward_id) for buyer in buyers))
            spans = await asyncio.to_thread(
                collector.wait_for, lambda spans: len(named(spans, PURCHASE)) == BUYERS and batched(spans) == BUYERS
            )

    requests = {span.span_id for span in named(spans, PURCHASE)}
    batches = named(spans, "purchase_rewards")
    assert {link for batch in batches for link in batch.links or (batch.parent_id,)} == requests
    for batch in batches:
        assert batch.parent_id in (batch.links or (batch.parent_id,))
        assert batch.facts["tallystick.batch_size"] == max(1, len(batch.links))
    assert any(batch.links for batch in batches)


def named(spans: list[ReceivedSpan], name: str) -> list[ReceivedSpan]:
    return [span for span in spans if span.name == name]


def batched(spans: list[ReceivedSpan]) -> int:
    """Return how many purchases the batches have."""
    return sum(int(span.facts["tallystick.batch_size"]) for span in named(spans, "purchase_rewards"))


def gone() -> str:
    """Return an address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def dropped(anyone: Caller) -> float:
    """Return how many spans were not sent, as soon as there are any."""
    for _ in range(600):
        found = DROPPED.search((await anyone.get("/metrics")).text)
        if found is not None and float(found[1]):
            return float(found[1])
        await asyncio.sleep(0.1)
    return 0.0


async def exercise(anyone: Caller) -> None:
    """Send requests whose answers do not depend on the collector."""
    ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
    await bought(ada, reward_id)
    answers = await asyncio.gather(*(ada.get("/api/credits") for _ in range(200)))
    assert {answer.status_code for answer in answers} == {200}
    assert answers[-1].json()["balance"] == 60


async def test_requests_are_answered_while_the_collector_is_gone_and_spans_are_counted(tmp_path: Path) -> None:
    async with serving(tmp_path, gone(), ratio="1") as (anyone, server):
        await exercise(anyone)
        assert await dropped(anyone) > 0
        assert server.end() == 0

    assert '"event": "request failed"' not in server.output


async def test_requests_are_answered_while_the_collector_hangs_and_the_server_ends_in_order(tmp_path: Path) -> None:
    with hanging() as address:
        async with serving(tmp_path, address, ratio="1") as (anyone, server):
            await exercise(anyone)
            assert server.end() == 0

    assert '"event": "request failed"' not in server.output
