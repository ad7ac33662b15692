"""Numbers of events: no reader passes a number that a slow transaction took, and pages show each message once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Literal, NamedTuple

import pytest

from tallystick.adapters.postgres.database import PoolSettings
from tallystick.adapters.postgres.stores import messages, topics
from tallystick.application.transactions import CommitUncertain
from tallystick.domain.channels import ChannelId
from tests.http.event_streams import streaming
from tests.http.services import Caller
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import Session, pool_on, session, superuser_of
from tests.integration.postgres.wires import Wire, wired
from tests.integration.races.following import NEVER, following, news, until_both_listen
from tests.integration.races.waiting import until_waiting_or_done
from tests.unit.behaviours.test_http_channels import listed, sent
from tests.worlds.postgres import PostgresBackend
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

PATIENT = PoolSettings(lock_seconds=60, statement_seconds=60)
"""For transactions that wait until the test has seen that they wait."""
WRITERS = 8
EACH = 125
PAGE = 7
KILL = """
SELECT pg_terminate_backend(pid)
FROM pg_stat_activity
WHERE datname = current_database() AND state = 'idle in transaction'
"""
WAIT_FOR = "SELECT count(*) FROM pg_stat_activity WHERE pg_blocking_pids(pid) && $1::int[]"
NEXTVAL = """
SELECT topic_id, nextval('tallystick.planted') - 1 AS head, clock_timestamp() AS at
FROM tallystick.topics
WHERE topic_id = ANY($1::text[])
"""
HORIZON = "xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"

Ending = Literal["killed", "committed"]


class Race(NamedTuple):
    """The log of a topic with two events, after a transaction had taken the next number and not ended."""

    has_waited: bool
    """Whether the next writer of the topic waited for it."""
    log: list[int]
    read: list[int]
    """The numbers that a reader received, who read on behind the last one again and again."""


class Writers(NamedTuple):
    """A writer whose commit can be held back, and another one."""

    wire: Wire
    slow: Rooms
    fast: Rooms

    async def race(self, channel: ChannelId, others: list[ChannelId], superuser: Session, ending: Ending) -> Race:
        """Let the slow writer take a number and end late; meanwhile the other one writes everywhere."""
        read: list[int] = []

        async def read_on() -> None:
            read.extend(event.seq for event in await self.fast.events(channel, after=read[-1] if read else 0))

        command = self.slow.message(channel, "ada")
        self.wire.hold()
        first = asyncio.create_task(self.slow.send_together(command))
        await self.wire.is_holding.wait()
        second = asyncio.create_task(self.fast.send(channel, "owner"))
        await until_waiting_or_done(superuser, second)
        has_waited = not second.done()
        for other in others:
            await self.fast.send(other, "owner")
        await read_on()
        if ending == "killed":
            assert len(await superuser.fetch(KILL)) == 1
            with pytest.raises(CommitUncertain):
                await first
        self.wire.heal()
        if ending == "committed":
            await first
        await second
        await read_on()
        if ending == "killed":
            await self.slow.send_together(command)
            await read_on()
        return Race(has_waited, [event.seq for event in await self.fast.events(channel)], read)


@pytest.fixture
async def writers(owner_dsn: str, world: World) -> AsyncIterator[Writers]:
    """Return two writers on an empty database."""
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(wired(owner_dsn))
        slow, fast = [
            Rooms(World(PostgresBackend(await stack.enter_async_context(pool_on(service_of(dsn), PATIENT))), seed=seed))
            for seed, dsn in enumerate((wire.dsn, owner_dsn))
        ]
        yield Writers(wire, slow, fast)


@pytest.mark.parametrize("ending", ["killed", "committed"])
async def test_a_writer_who_has_a_number_and_does_not_end_lets_no_one_pass_and_stops_no_other_topic(
    ending: Ending, writers: Writers, superuser: Session
) -> None:
    channel, *others = [await writers.fast.a_channel("ada") for _ in range(4)]

    race = await writers.race(channel, others, superuser, ending)

    assert race == Race(True, [1, 2, 3, 4], [1, 2, 3, 4])
    assert await writers.fast.world.broken_promises() == []


@pytest.mark.parametrize(
    ("ending", "log", "read"), [("killed", [1, 2, 4, 8], [1, 2, 4, 8]), ("committed", [1, 2, 3, 4], [1, 2, 4])]
)
async def test_numbers_of_a_sequence_would_be_lost_or_passed(
    ending: Ending,
    log: list[int],
    read: list[int],
    writers: Writers,
    superuser: Session,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    channel, *others = [await writers.fast.a_channel("ada") for _ in range(4)]
    await superuser.execute("CREATE SEQUENCE tallystick.planted START 3")
    await superuser.execute("GRANT USAGE ON tallystick.planted TO tallystick_app")
    monkeypatch.setattr(topics._SQL, "lock", NEXTVAL)
    monkeypatch.setattr(messages._SQL, "send", messages._SQL.send.rpartition("UPDATE")[0] + "SELECT")

    try:
        race = await writers.race(channel, others, superuser, ending)
    finally:
        await superuser.execute("DROP SEQUENCE tallystick.planted")

    assert race == Race(False, log, read)


async def test_a_transaction_that_stays_open_keeps_neither_a_send_nor_a_reader_waiting(
    owner_dsn: str, world: World, superuser: Session, server: tuple[str, str]
) -> None:
    rooms = Rooms(world)
    channel, other = await rooms.a_channel("ada"), await rooms.a_channel()
    async with (
        session(superuser_of(server, owner_dsn)) as here,
        session(server[0]) as elsewhere,
        here.transaction(),
        elsewhere.transaction(),
        following(owner_dsn, news(look_seconds=NEVER)) as (first, second),
    ):
        await here.execute("UPDATE tallystick.topics SET last_at = last_at WHERE topic_id = $1", other)
        await here.execute("NOTIFY tallystick_topics")
        await elsewhere.execute("CREATE TEMPORARY TABLE written AS SELECT 1")
        idle = [await each.fetchval("SELECT pg_backend_pid()") for each in (here, elsewhere)]
        await until_both_listen(superuser)
        async with streaming(first.named("ada"), f"/api/channels/{channel}/stream") as stream:
            await stream.until("ready")
            for number in range(100):
                message = await sent((first, second)[number % 2].named("owner"), channel)
                assert (await stream.next()).data == message
                assert await superuser.fetchval(WAIT_FOR, idle) == 0
        assert [event.seq for event in await rooms.events(channel)] == [*range(1, 103)]


async def test_a_reader_behind_the_oldest_transaction_would_wait_for_it(
    owner_dsn: str, world: World, server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rooms = Rooms(world)
    channel = await rooms.a_channel()
    monkeypatch.setattr(topics._SQL, "events", topics._SQL.events.replace("WHERE", f"WHERE {HORIZON} AND"))
    async with session(superuser_of(server, owner_dsn)) as here, here.transaction():
        await here.execute("SELECT pg_current_xact_id()")
        await rooms.send(channel, "owner")

        assert [event.seq for event in await rooms.events(channel)] == [1]

    assert [event.seq for event in await rooms.events(channel)] == [1, 2]


async def test_messages_of_one_instant_are_shown_once_on_pages_while_others_send(
    instances: tuple[Caller, Caller], world: World, superuser: Session
) -> None:
    writers = [f"writer-{number}" for number in range(WRITERS)]
    channel = await Rooms(world).a_channel("ada", *writers)
    # The time of a topic never goes back: from here on, it stands still.
    await superuser.execute("UPDATE tallystick.topics SET last_at = '2100-01-01' WHERE topic_id = $1", channel)
    last = WRITERS + 2 + WRITERS * EACH
    ada = instances[0].named("ada")

    async def write(number: int) -> None:
        for turn in range(EACH):
            await sent(instances[(number + turn) % 2].named(writers[number]), channel, f"{number} {turn}")

    async def read_upwards() -> list[int]:
        read = [WRITERS + 2]
        while read[-1] < last:
            page = await listed(ada, channel, after=read[-1], limit=PAGE)
            read += [message["seq"] for message in page["items"]]
            while page["next_cursor"]:
                page = await listed(ada, channel, cursor=page["next_cursor"], limit=PAGE)
                read += [message["seq"] for message in page["items"]]
        return read[1:]

    async def read_downwards() -> list[int]:
        page = await listed(ada, channel, limit=PAGE)
        read = [message["seq"] for message in page["items"]]
        while page["next_cursor"]:
            page = await listed(ada, channel, cursor=page["next_cursor"], limit=PAGE)
            read += [message["seq"] for message in page["items"]]
        return read

    async with asyncio.TaskGroup() as tasks:
        writing = [tasks.create_task(write(number)) for number in range(WRITERS)]
        upwards = tasks.create_task(read_upwards())
        downwards = [await read_downwards()]
        while not all(writer.done() for writer in writing):
            downwards.append(await read_downwards())
    downwards.append(await read_downwards())

    assert upwards.result() == [*range(WRITERS + 3, last + 1)]
    assert [read for read in downwards if read != [*range(WRITERS + 2 + len(read), WRITERS + 2, -1)]] == []
    events = await Rooms(world).events(channel, limit=last)
    assert len({event.created_at for event in events[WRITERS + 2 :]}) == 1
    assert await world.broken_promises() == []
