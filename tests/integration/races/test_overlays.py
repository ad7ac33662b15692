"""Overlays at their end: never visible late on any instance, and ended once by however many sweepers and commands."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta

import pytest

from tallystick.application.topic_news import TopicNews
from tallystick.domain.users import UserId
from tallystick.entrypoints.worker.overlays import SweepOverlays
from tests.http.event_streams import streaming
from tests.http.replacements import skewed
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import Session
from tests.integration.races.waiting import until_waiting_or_done
from tests.worlds.overlays import Screens
from tests.worlds.world import World

PATH = "/api/overlays/s"
END_IN = (
    "UPDATE tallystick.session_overlays "
    "SET expires_at = date_trunc('milliseconds', clock_timestamp()) + $1 * interval '1 millisecond' "
    "WHERE session_id = 's' RETURNING expires_at"
)
SESSIONS = [f"s{number}" for number in range(20)]


@asynccontextmanager
async def skewed_instances(owner_dsn: str) -> AsyncIterator[tuple[Caller, Caller]]:
    """Run two instances whose clocks differ by ten minutes."""
    given = settings(database_url=service_of(owner_dsn), rate_limits="read=1000000/minute")
    async with AsyncExitStack() as stack:
        slow, _ = await stack.enter_async_context(running(given, "postgres", skewed(timedelta(minutes=-5))))
        fast, _ = await stack.enter_async_context(running(given, "postgres", skewed(timedelta(minutes=5))))
        yield slow, fast


@asynccontextmanager
async def sweeping(owner_dsn: str) -> AsyncIterator[tuple[Caller, Caller]]:
    """Run two instances that end overlays and follow each other's topics."""
    given = settings(database_url=service_of(owner_dsn))
    async with AsyncExitStack() as stack:
        callers, tasks = [], []
        for _ in range(2):
            caller, container = await stack.enter_async_context(running(given, "postgres"))
            tasks.append(asyncio.create_task((await container.get(SweepOverlays)).run()))
            tasks.append(asyncio.create_task((await container.get(TopicNews)).run()))
            callers.append(caller)
        try:
            yield callers[0], callers[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_read_that_begins_at_the_end_or_later_never_shows_an_overlay(
    owner_dsn: str, world: World, superuser: Session
) -> None:
    """The clock of the database is read before each request, and so is never later than the one that decides."""
    await Screens(world).put()
    late: list[tuple[datetime, datetime]] = []
    shown = 0
    async with skewed_instances(owner_dsn) as instances:
        for number in range(1000):
            end = await superuser.fetchval(END_IN, number % 3 - 1)
            caller, is_shown = instances[number % 2].named("bob"), True
            while is_shown:
                began = await superuser.fetchval("SELECT clock_timestamp()")
                answer = await caller.get(PATH)
                is_shown = answer.status_code == 200
                if is_shown:
                    shown += 1
                    assert datetime.fromisoformat(answer.json()["server_time"]) < end
                    if began >= end:
                        late.append((began, end))
                else:
                    assert await superuser.fetchval("SELECT clock_timestamp()") >= end
                assert late == []
    assert shown <= 1000


async def test_a_read_in_a_transaction_that_began_before_the_end_does_not_show_it_either(
    world: World, superuser: Session
) -> None:
    """`now()` is the time at which the transaction began."""
    session = (await Screens(world).put()).session_id
    async with world.transactions.begin() as stores:
        before = await stores.overlays.shown([session])
        held = await stores.holdings.count("overlays", [UserId("ada")], up_to=9)
        await superuser.fetchval(END_IN, 0)

        assert (list(before), held) == ([session], {"ada": 1})
        assert await stores.overlays.shown([session]) == {}
        assert await stores.holdings.count("overlays", [UserId("ada")], up_to=9) == {"ada": 0}
        assert [each.session_id for each in await stores.overlays.claim_ended(limit=9)] == [session]


async def test_a_put_that_waited_past_the_end_does_not_replace_what_has_ended(world: World, superuser: Session) -> None:
    screens = Screens(world)
    await screens.put()
    await superuser.fetchval(END_IN, 500)
    async with superuser.transaction():
        await superuser.execute("SELECT FROM tallystick.topics WHERE topic_id = 'overlays' FOR UPDATE")
        putting = asyncio.create_task(screens.put())
        await until_waiting_or_done(superuser, putting)
        await superuser.execute("SELECT pg_sleep(0.6)")  # by the clock that decides

    assert (await putting).version == 2
    assert await screens.log() == ["shown s 1", "expired s 1", "shown s 2"]
    assert await world.broken_promises() == []


async def test_the_end_of_a_put_is_of_the_clock_of_the_database(
    owner_dsn: str, world: World, superuser: Session
) -> None:
    async with skewed_instances(owner_dsn) as instances:
        for caller in instances:
            before = await superuser.fetchval("SELECT clock_timestamp()")
            answer = await caller.named("ada").call("PUT", PATH, body={"payload": 1, "ttl_seconds": 60})
            after = await superuser.fetchval("SELECT clock_timestamp()")

            end = datetime.fromisoformat(answer.json()["expires_at"]) - timedelta(seconds=60)
            assert before - timedelta(milliseconds=1) < end <= after
    assert await world.broken_promises() == []


async def test_sweepers_and_commands_at_the_end_end_each_version_once(world: World) -> None:
    screens = Screens(world)
    for _ in range(10):
        for session in SESSIONS:
            await screens.put(session)
            await world.backend.reach_end(session)
        swept = [screens.expire() for _ in range(4)]
        puts = [screens.put_overlays([screens.command(session)]) for session in SESSIONS[::2]]

        await asyncio.gather(*swept, *puts)

        while await screens.expire():
            pass
    ends = Counter(
        line.removeprefix("updated").removeprefix("expired").split(" ")[2] + line.split(" ")[1]
        for line in await screens.log()
        if not line.startswith("shown")
    )
    assert set(ends.values()) == {1}
    assert await world.broken_promises() == []


async def test_a_sweeper_leaves_out_what_another_transaction_has_locked(world: World, superuser: Session) -> None:
    screens = Screens(world)
    for session in ("held", "free"):
        await screens.put(session)
        await world.backend.reach_end(session)

    async with superuser.transaction():
        await superuser.execute("SELECT FROM tallystick.session_overlays WHERE session_id = 'held' FOR UPDATE")
        assert await screens.expire() == 1
    assert await screens.expire() == 1
    assert await world.broken_promises() == []


async def test_two_first_overlays_of_one_session_have_one_owner(instances: tuple[Caller, Caller], world: World) -> None:
    for number in range(10):
        path = f"/api/overlays/s{number}"
        answers = await asyncio.gather(
            instances[0].named("ada").call("PUT", path, body={"payload": 1}),
            instances[1].named("bob").call("PUT", path, body={"payload": 2}),
        )
        assert sorted(answer.status_code for answer in answers) == [200, 403]
    assert await world.broken_promises() == []


async def test_a_live_stream_receives_the_end_on_both_instances_once(
    owner_dsn: str, world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Nothing but the put wakes a sweeper.
    monkeypatch.setattr("tallystick.entrypoints.worker.overlays.LONGEST_SLEEP_SECONDS", 3600.0)
    async with (
        sweeping(owner_dsn) as (here, there),
        streaming(here.named("bob"), "/api/overlays/stream") as near,
        streaming(there.named("bob"), "/api/overlays/stream") as far,
    ):
        await near.until("ready")
        await far.until("ready")
        answer = await here.named("ada").call("PUT", PATH, body={"payload": 1, "ttl_seconds": 1})
        received = [await stream.until("overlay_expired") for stream in (near, far)]

    for events in received:
        assert [(event.name, event.data["seq"]) for event in events] == [("overlay_shown", 1), ("overlay_expired", 2)]
        assert events[1].data["created_at"] >= answer.json()["expires_at"]
    assert await Screens(world).log() == ["shown s 1", "expired s 1"]
    assert await world.broken_promises() == []
