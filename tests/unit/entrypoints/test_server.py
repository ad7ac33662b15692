"""The end of a server: within seconds, also where something hangs."""

import asyncio
from collections.abc import MutableMapping
from functools import partial
from typing import Any

import pytest
from dishka import Provider, Scope

from tallystick.adapters.identity.jwks import JwksUnavailable
from tallystick.adapters.memory.ports import RecordedMetrics
from tallystick.adapters.system import SystemClock
from tallystick.application.readiness import Fault
from tallystick.entrypoints import server as module
from tallystick.entrypoints.http.routes.operations import ReadinessProbe
from tallystick.entrypoints.server import Server
from tallystick.entrypoints.wiring import build
from tallystick.entrypoints.worker.upkeep import Upkeep
from tests.http.replacements import published
from tests.http.services import settings


class Stubborn(Upkeep):
    """Upkeep that does not end on demand."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await self.may_end.wait()


async def test_it_ends_without_what_does_not_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Drain, "handle_signals", lambda _drain: None)
    monkeypatch.setattr(module, "_ENDING_SECONDS", 0.01)
    stubborn = Stubborn()
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: stubborn, provides=Upkeep)
    server = Server(partial(build, settings(), "memory", provider))
    messages: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    await messages.put({"type": "lifespan.startup"})
    life = asyncio.create_task(server({"type": "lifespan"}, messages.get, said.put))  # type: ignore[arg-type]  # as servers do
    assert (await said.get())["type"] == "lifespan.startup.complete"

    await messages.put({"type": "lifespan.shutdown"})
    try:
        async with asyncio.timeout(10):
            await asyncio.shield(life)
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
    finally:
        stubborn.may_end.set()
        await life


async def test_it_is_checked_before_it_does_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first look compares the clocks: until then a wrong one would be used."""
    monkeypatch.setattr(module._Drain, "handle_signals", lambda _drain: None)
    entered, may_go_on, done = asyncio.Event(), asyncio.Event(), []

    async def look() -> list[Fault]:
        entered.set()
        await may_go_on.wait()
        done.append("look")
        return []

    class Watching(Upkeep):
        def __init__(self) -> None:
            pass

        async def run(self) -> None:
            done.append("upkeep")

    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: ReadinessProbe([look], SystemClock(), RecordedMetrics()), provides=ReadinessProbe)
    provider.provide(Watching, provides=Upkeep)
    server = Server(partial(build, settings(), "memory", provider))
    messages: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    await messages.put({"type": "lifespan.startup"})
    life = asyncio.create_task(server({"type": "lifespan"}, messages.get, said.put))  # type: ignore[arg-type]  # as servers do
    await entered.wait()
    for _ in range(10):
        await asyncio.sleep(0)
    assert done == []
    may_go_on.set()

    assert (await said.get())["type"] == "lifespan.startup.complete"
    await messages.put({"type": "lifespan.shutdown"})
    await life

    assert done == ["look", "upkeep"]


async def test_it_starts_without_the_provider_and_asks_for_its_keys_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Drain, "handle_signals", lambda _drain: None)
    asked = asyncio.Event()

    def document() -> bytes:
        asked.set()
        raise JwksUnavailable("out of order")

    given = settings(jwks_url="https://id.example.org/keys")
    server = Server(partial(build, given, "memory", published(document)))
    messages: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    await messages.put({"type": "lifespan.startup"})
    life = asyncio.create_task(server({"type": "lifespan"}, messages.get, said.put))  # type: ignore[arg-type]  # as servers do

    assert (await said.get())["type"] == "lifespan.startup.complete"
    async with asyncio.timeout(10):
        await asked.wait()

    await messages.put({"type": "lifespan.shutdown"})
    await life
