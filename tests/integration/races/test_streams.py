"""Streams of two instances on one database: what one instance commits, the readers of the other receive once."""

import asyncio
import os
import random

import pytest

from tallystick.adapters.memory.stores.flags import SilentSignal
from tests.http.event_streams import streaming
from tests.integration.postgres.sessions import Session
from tests.integration.races.following import NEVER, following, news, until_both_listen
from tests.unit.behaviours.test_http_channels import sent
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

WRITERS = 8
FOLLOWERS = 3
LANES = 10
# `make storm` takes more of each.
SENDS = int(os.environ.get("TALLYSTICK_TEST_SENDS", "40"))
CUTS = int(os.environ.get("TALLYSTICK_TEST_STREAM_CUTS", "12"))
EACH = CUTS * 25 // WRITERS
"""How many messages each writer sends while every follower is cut: 25 messages a cut."""


@pytest.mark.parametrize("is_heard", [True, False], ids=["by notifications alone", "by looking alone"])
async def test_what_is_sent_at_ready_through_the_other_instance_arrives(
    owner_dsn: str, world: World, superuser: Session, *, is_heard: bool
) -> None:
    replacement = news(look_seconds=NEVER) if is_heard else news(signal=SilentSignal)
    channels = [await Rooms(world).a_channel("ada") for _ in range(LANES)]
    async with following(owner_dsn, replacement) as instances:
        if is_heard:
            await until_both_listen(superuser)

        async def send_and_receive(channel: str) -> None:
            for number in range(SENDS // LANES):
                reader, writer = instances[number % 2], instances[1 - number % 2]
                async with streaming(reader.named("ada"), f"/api/channels/{channel}/stream") as stream:
                    await stream.until("ready")
                    message = await sent(writer.named("owner"), channel, f"{number}")
                    # Maybe behind that of the turn before, where this instance had not looked yet.
                    assert (await stream.up_to(message["seq"]))[-1].data == message

        async with asyncio.TaskGroup() as tasks:
            for channel in channels:
                tasks.create_task(send_and_receive(channel))


async def test_a_member_who_is_removed_among_writers_receives_the_log_up_to_the_removal(
    owner_dsn: str, world: World
) -> None:
    writers = [f"writer-{number}" for number in range(WRITERS)]
    channel = await Rooms(world).a_channel("ada", *writers)

    async with following(owner_dsn, news(look_seconds=0.05)) as instances:

        async def write(number: int) -> None:
            for turn in range(10):
                await sent(instances[(number + turn) % 2].named(writers[number]), channel)

        async with streaming(instances[0].named("ada"), f"/api/channels/{channel}/stream?after=0") as stream:
            await stream.until("ready")
            writing = asyncio.gather(*(write(number) for number in range(WRITERS)))
            path = f"/api/channels/{channel}/members/ada"
            removed = await instances[1].named("owner").call("DELETE", path)
            received = await stream.until("closed")
            await writing

    *events, bye, _ = received
    assert bye.data == {"reason": "removed"}
    assert (events[-1].name, events[-1].data["user_id"]) == ("member_removed", "ada")
    seqs = [event.data["seq"] for event in events]
    assert seqs == list(range(WRITERS + 3, removed.json()["left_seq"] + 1))


async def test_streams_that_are_cut_at_random_receive_the_log_in_order_and_once(owner_dsn: str, world: World) -> None:
    writers = [f"writer-{number}" for number in range(WRITERS)]
    rooms = Rooms(world)
    channel = await rooms.a_channel("ada", *writers)
    last = WRITERS + 2 + WRITERS * EACH
    chance = random.Random(11)

    async with following(owner_dsn, news(look_seconds=0.05)) as instances:

        async def write(number: int) -> None:
            for turn in range(EACH):
                await sent(instances[(number + turn) % 2].named(writers[number]), channel)

        async def follow() -> list[tuple[int, str]]:
            received: list[tuple[int, str]] = []
            last_id = "0"
            for turn, end in enumerate([*sorted(chance.sample(range(last), CUTS)), last]):
                ada = instances[turn % 2].named("ada")
                path = f"/api/channels/{channel}/stream"
                async with streaming(ada, path, {"last-event-id": last_id}) as stream:
                    while len(received) < end:
                        event = await stream.next()
                        assert event.name not in ("reset", "bye"), event
                        if "seq" in event.data:
                            received.append((event.data["seq"], event.data.get("message_id") or event.data["user_id"]))
                    last_id = stream.last_id or last_id
            return received

        async with asyncio.TaskGroup() as tasks:
            followers = [tasks.create_task(follow()) for _ in range(FOLLOWERS)]
            for number in range(WRITERS):
                tasks.create_task(write(number))

    log = [(event.seq, event.ref) for event in await rooms.events(channel, limit=last + 1)]
    assert [seq for seq, _ in log] == [*range(1, last + 1)]
    assert [follower.result() for follower in followers] == [log] * FOLLOWERS
