"""Flags as servers follow them: known before the first request, and switched on one instance for all of them."""

import asyncio
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from functools import partial
from itertools import count
from typing import Any, cast

import httpx2
import pytest
from dishka import Provider

from tallystick.adapters.memory.stores.flags import SilentSignal
from tallystick.domain.flags import Flag
from tallystick.entrypoints import server as module
from tallystick.entrypoints.server import Server
from tallystick.entrypoints.wiring import build
from tests.http.replacements import following
from tests.http.services import BASE_URL, Caller, settings
from tests.integration.postgres.sessions import Session, session
from tests.unit.behaviours.test_http_flags import listed, switch
from tests.worlds.switchboards import Switchboard, until_holds
from tests.worlds.world import World

NEVER = 3600.0
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"
LISTENERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%listener'"
)


@pytest.fixture(autouse=True)
def _signals_are_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module._Drain, "handle_signals", lambda _drain: None)


@asynccontextmanager
async def living(database_url: str, *replacements: Provider, **changes: Any) -> AsyncIterator[Caller]:
    """Run a server from the start of its life to its end, and return a nameless caller."""
    given = settings(database_url=database_url, **changes)
    server = Server(partial(build, given, "postgres", *replacements))
    messages: asyncio.Queue[Any] = asyncio.Queue()
    said: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    await messages.put({"type": "lifespan.startup"})
    life = asyncio.create_task(server({"type": "lifespan"}, messages.get, said.put))  # type: ignore[arg-type]  # as servers do
    try:
        assert (await said.get())["type"] == "lifespan.startup.complete"
        transport = httpx2.ASGITransport(cast("Any", server), client=("203.0.113.7", 50000))
        async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
            yield Caller(http)
    finally:
        await messages.put({"type": "lifespan.shutdown"})
        await life


async def is_pending(anyone: Caller, user: str) -> bool:
    return bool((await anyone.named(user).get("/api/my-referral-link")).json()["pending"])


async def until_pending(anyone: Caller, *, pending: bool) -> None:
    """Wait until links of new users are pending, or are not."""
    newcomers = (f"{'switched-off' if pending else 'switched-on'}-{number}" for number in count())

    async def is_followed() -> bool:
        return await is_pending(anyone, next(newcomers)) is pending

    await until_holds(is_followed)


async def until_listeners(owner: Session, wanted: int) -> None:
    """Wait until so many listen."""

    async def are_there() -> bool:
        return bool(await owner.fetchval(LISTENERS) == wanted)

    await until_holds(are_there)


async def test_a_server_knows_the_flags_before_its_first_request(world: World, owner_dsn: str) -> None:
    await Switchboard(world).switch(Flag.ENSURE_ON_READ_ENABLED, on=False)

    async with living(owner_dsn, following(SilentSignal, poll_seconds=NEVER)) as anyone:
        assert await is_pending(anyone, "ada")


async def test_a_server_starts_without_its_database_and_refuses_until_it_is_there() -> None:
    async with living(NOWHERE, flags="webhook_enabled=off") as anyone:
        link = await anyone.named("ada").get("/api/my-referral-link")
        flags = await anyone.named("chief", "admin:flags").get("/api/admin/flags")
        delivery = await anyone.deliver({"type": "user.created", "data": {"id": "ada"}})

        assert (await anyone.get("/healthz")).status_code == 200
        assert [(answer.status_code, answer.json()["code"]) for answer in (link, flags, delivery)] == [
            (503, "OVERLOADED"),
            (503, "OVERLOADED"),
            (503, "WEBHOOK_DISABLED"),
        ]


@pytest.mark.parametrize(
    "replacement",
    [following(poll_seconds=NEVER), following(SilentSignal, poll_seconds=0.05)],
    ids=["by the signal alone", "by looking alone"],
)
async def test_a_flag_that_one_instance_switches_is_switched_on_the_other(
    world: World, owner_dsn: str, replacement: Provider
) -> None:
    async with living(owner_dsn, replacement) as first, living(owner_dsn, replacement) as second:
        for here, there in ((first, second), (second, first)):
            for on in (False, True):
                state = await switch(here, Flag.ENSURE_ON_READ_ENABLED, on=on)
                assert (await listed(there))["ensure_on_read_enabled"] == state
                await until_pending(there, pending=not on)


async def test_notifications_go_past_a_pooler_where_there_is_a_way(world: World, owner_dsn: str) -> None:
    """The way that the pool takes is one that leads nowhere."""
    async with living(NOWHERE, database_direct_url=owner_dsn), session(owner_dsn) as owner:
        await until_listeners(owner, 2)


async def test_an_instance_that_pins_a_flag_does_not_follow_and_the_others_do(world: World, owner_dsn: str) -> None:
    pinned = "ensure_on_read_enabled=on"
    async with living(owner_dsn) as first, living(owner_dsn, flags=pinned) as second, living(owner_dsn) as third:
        await switch(first, Flag.ENSURE_ON_READ_ENABLED, on=False)
        await until_pending(third, pending=True)
        await switch(first, Flag.WEBHOOK_ENABLED, on=False)

        async def is_followed() -> bool:
            return (await second.deliver({"type": "user.created", "data": {"id": "eve"}})).status_code == 503

        await until_holds(is_followed)
        assert not await is_pending(second, "ada")
        assert (await listed(second))["ensure_on_read_enabled"]["pinned"] is True


async def test_a_server_that_ends_leaves_no_session_behind(world: World, owner_dsn: str) -> None:
    async with session(owner_dsn) as owner:
        async with living(owner_dsn):
            await until_listeners(owner, 2)
        await until_listeners(owner, 0)
