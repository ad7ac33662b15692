"""Requests in flight: as many as there is room for are served, and one more is refused at once."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

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


async def _upsert(anyone: Caller, user: str, body: Unfinished) -> httpx2.Response:
    caller = anyone.named(user)
    headers = {"content-type": "application/json", "authorization": caller._authorization or ""}
    return await anyone.http.post("/api/users/upsert", content=body, headers=headers)
