"""Traces of requests: the batch and the calls of the stores below each request, and what stands on the spans."""

import asyncio
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from dishka import Provider, Scope

from tallystick.adapters.memory.tracing import RecordedSpan, RecordedTracer
from tallystick.application.tracing import Tracer
from tests.http.event_streams import streaming
from tests.http.services import Caller, running, settings
from tests.http.wallets import bought, funded, offered
from tests.unit.behaviours.test_http_stage_rooms import PATH, roster, slot

PURCHASE = "POST /api/rewards/{reward_id}/purchase"


class Traced(NamedTuple):
    """A service and what it records."""

    anyone: Caller
    tracer: RecordedTracer


@pytest.fixture
async def traced() -> AsyncIterator[Traced]:
    tracer = RecordedTracer()
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: tracer, provides=Tracer)
    async with running(settings(), "memory", provider) as (anyone, _):
        yield Traced(anyone, tracer)


def below(tracer: RecordedTracer, parent: RecordedSpan) -> list[str]:
    """Return the names of the spans directly below a span."""
    return [span.name for span in tracer.spans if span.parent is parent]


async def test_a_purchase_is_a_request_with_a_batch_that_calls_the_stores(traced: Traced) -> None:
    ada = await funded(traced.anyone, "ada", 100)
    reward_id = await offered(traced.anyone, 40)

    await bought(ada, reward_id, headers={"x-correlation-id": "purchase-1"})

    (request,), (batch,) = traced.tracer.named(PURCHASE), traced.tracer.named("purchase_rewards")
    assert request.parent is None
    assert request.facts == {
        "http.request.method": "POST",
        "http.route": "/api/rewards/{reward_id}/purchase",
        "http.response.status_code": 200,
        "tallystick.correlation_id": "purchase-1",
    }
    assert (batch.parent, batch.links, batch.facts) == (request, (), {"tallystick.batch_size": 1})
    calls = below(traced.tracer, batch)
    assert (calls[0], calls[-1]) == ("transactions.begin", "transactions.commit")
    assert {"ledger.lock", "rewards.sell"} <= set(calls)
    assert below(traced.tracer, request) == ["purchase_rewards"]
    assert all(span.has_ended for span in traced.tracer.spans)


async def test_a_batch_of_several_requests_is_linked_with_each(traced: Traced) -> None:
    reward_id = await offered(traced.anyone, 40)
    buyers = [await funded(traced.anyone, f"buyer{number}", 100) for number in range(8)]

    await asyncio.gather(*(bought(buyer, reward_id) for buyer in buyers))

    requests, batches = traced.tracer.named(PURCHASE), traced.tracer.named("purchase_rewards")
    assert len(requests) == 8
    assert [span for batch in batches for span in batch.links or (batch.parent,)] == requests
    together = [batch for batch in batches if len(batch.links) > 1]
    assert together
    for batch in together:
        assert batch.parent is batch.links[0]
        assert batch.facts == {"tallystick.batch_size": len(batch.links)}


async def test_a_refusal_has_its_code_and_is_no_failure(traced: Traced) -> None:
    await traced.anyone.named("ada").post("/api/rewards/01990000-0000-7000-8000-000000000001/purchase")

    (request,) = traced.tracer.named(PURCHASE)
    assert (request.facts["http.response.status_code"], request.facts["tallystick.code"]) == (404, "REWARD_NOT_FOUND")
    assert request.error is None


async def test_an_unmatched_path_is_not_on_the_span(traced: Traced) -> None:
    await traced.anyone.get("/nowhere/ADA12345")

    (request,) = traced.tracer.spans
    assert request.name == "GET unmatched"
    assert "ADA12345" not in str(request.facts)


async def test_a_decision_about_a_stage_room_has_the_version_of_the_contract(traced: Traced) -> None:
    answer = await traced.anyone.named("ada").post(PATH, roster(slot("captain", 1, "ada")))

    (batch,) = traced.tracer.named("sync_rosters")
    assert batch.facts["tallystick.contract_version"] == answer.json()["contract_version"]


async def test_the_span_of_a_stream_ends_when_its_reply_begins(traced: Traced) -> None:
    ada = traced.anyone.named("ada")
    channel_id = (await ada.post("/api/channels", {"name": "one"})).json()["channel_id"]

    async with streaming(ada, f"/api/channels/{channel_id}/stream") as stream:
        await stream.until("ready")

        (request,) = traced.tracer.named("GET /api/channels/{channel_id}/stream")
        assert request.has_ended
        before = below(traced.tracer, request)
        await ada.post("/api/messages/send", {"channel_id": channel_id, "body": "hello", "client_message_id": "m1"})
        await stream.next()
        assert below(traced.tracer, request) == before
