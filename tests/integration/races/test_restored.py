"""A copy of the database in its place, as after a restore or a failover: readers notice that the past is another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tallystick.adapters.embedded.provision import OWNER
from tallystick.adapters.system import SystemRandomness
from tests.http.event_streams import streaming
from tests.integration.conftest import Connection, service_of
from tests.integration.postgres.sessions import database_name, pool_on
from tests.integration.races.following import following, news
from tests.worlds.postgres import PostgresBackend
from tests.worlds.rooms import Rooms
from tests.worlds.world import World


@asynccontextmanager
async def rooms_in(dsn: str) -> AsyncIterator[Rooms]:
    """Return the rooms of what is the database now."""
    async with pool_on(service_of(dsn)) as database:
        world = World(PostgresBackend(database))
        world.randomness = SystemRandomness()  # type: ignore[assignment]  # a second past has other ids than the first
        yield Rooms(world)


async def test_a_copy_of_the_database_in_its_place_is_noticed_by_open_and_by_resumed_streams(
    dsn: str, administrator: Connection
) -> None:
    name, copy = database_name(dsn), f"{database_name(dsn)}_copy"
    async with rooms_in(dsn) as rooms:
        channel = await rooms.a_channel()
        await rooms.send(channel, "owner", "kept")
    await administrator.execute(f'CREATE DATABASE "{copy}" TEMPLATE "{name}" OWNER {OWNER}')
    path = f"/api/channels/{channel}/stream"

    async with following(dsn, news(look_seconds=0.02)) as (here, there):
        async with rooms_in(dsn) as rooms:
            for number in range(10):
                await rooms.send(channel, "owner", f"lost {number}")
        async with streaming(here.named("owner"), f"{path}?after=0") as stream:
            await stream.until("ready")
            last = stream.last_id or ""
            await administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            await administrator.execute(f'ALTER DATABASE "{copy}" RENAME TO "{name}"')
            assert (await stream.until("bye"))[-1].data == {"reason": "restored"}
        async with streaming(there.named("owner"), path, {"last-event-id": last}) as ahead:
            reset, ready = await ahead.until("ready")
        assert (reset.data, ready.data["head"]) == ({"topic_id": channel, "reason": "ahead", "head": 2}, 2)

        async with rooms_in(dsn) as rooms:
            for number in range(20):
                await rooms.send(channel, "owner", f"other {number}")
        async with streaming(there.named("owner"), path, {"last-event-id": last}) as forked:
            reset, ready = await forked.until("ready")
        assert (reset.data, ready.data["head"]) == ({"topic_id": channel, "reason": "forked", "head": 22}, 22)

        async with streaming(there.named("owner"), path, {"last-event-id": forked.last_id or ""}) as resumed:
            (ready,) = await resumed.until("ready")
        assert ready.data["head"] == 22
