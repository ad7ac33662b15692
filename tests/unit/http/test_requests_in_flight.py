"""Requests in flight: as many as there is room for are served, and one more is refused at once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import httpx2
import pytest

from tests.http.event_streams import streaming
from tests.http.services import Caller, Serve

ROOM = 3


class Unfinished:
    """A body that ends when the test says so."""

    def __init__(self) -> None:
        self.begun, self.end = asyncio.Event(), asyncio.Event()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b"{"
        self.begun.set()
        await self.end.wait()
        yield b"}"


async def test_one_more_than_there_is_room_for_is_refused_and_the_others_are_served(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.entrypoints.http.request_boundary.MAX_IN_FLIGHT", ROOM)
    anyone = await serve()
    bodies = [Unfinished() for _ in range(ROOM)]

    async with asyncio.TaskGroup() as together:
        waiting = [together.create_task(_upsert(anyone, f"user{n}", body)) for n, body in enumerate(bodies)]
        for body in bodies:
            await body.begun.wait()
        refused = [await anyone.get(path) for path in ("/healthz", "/api/referral/resolve?code=ABCD1234", "/nowhere")]
        for body in bodies:
            body.end.set()

    assert [each.result().status_code for each in waiting] == [200] * ROOM
    for answer in refused:
        assert (answer.status_code, answer.json()["code"]) == (503, "OVERLOADED")
        assert "retry-after" in answer.headers
    measured = (await anyone.get("/metrics")).text
    assert f'unavailable_replies_total{{cause="in_flight"}} {len(refused)}.0' in measured


async def test_streams_take_no_room_of_requests_and_give_none_back_when_they_end(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.entrypoints.http.request_boundary.MAX_IN_FLIGHT", ROOM)
    anyone = await serve()

    async with AsyncExitStack() as opened:
        for _ in range(2 * ROOM):
            stream = await opened.enter_async_context(streaming(anyone.named("ada"), "/api/overlays/stream"))
            await stream.until("ready")
        beside = await anyone.named("bob").get("/api/channels")
        measured_beside = await _in_flight(anyone)

    assert (beside.status_code, measured_beside) == (200, 1)
    assert await _in_flight(anyone) == 1


async def _in_flight(anyone: Caller) -> float:
    """Return how many requests there are, the one that asks included."""
    (line,) = [
        line
        for line in (await anyone.get("/metrics")).text.splitlines()
        if line.startswith("tallystick_requests_in_flight ")
    ]
    return float(line.split()[-1])


async def _upsert(anyone: Caller, user: str, body: Unfinished) -> httpx2.Response:
    caller = anyone.named(user)
    headers = {"content-type": "application/json", "authorization": caller._authorization or ""}
    return await anyone.http.post("/api/users/upsert", content=body, headers=headers)
