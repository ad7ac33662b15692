"""Streams of members who are removed, or whose token ends, while others write through two instances."""

import asyncio
import os

from tests.http.event_streams import streaming
from tests.http.services import Caller
from tests.integration.races.following import following, news
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

WRITERS = [f"writer-{number}" for number in range(8)]
TURNS = int(os.environ.get("TALLYSTICK_TEST_REMOVALS", "3"))  # `make storm` takes more
EACH = 10


async def write(instances: tuple[Caller, Caller], channel: str, writer: str, *, first: int = 0) -> None:
    """Send messages through both instances in turn, until the writer is removed."""
    for turn in range(first, first + EACH):
        body = {"channel_id": channel, "body": f"{turn}"}
        answer = await instances[turn % 2].named(writer).post("/api/messages/send", body)
        if answer.status_code != 201:
            assert answer.json()["code"] == "NOT_A_MEMBER"
            return


async def test_a_removal_on_the_other_instance_is_the_last_event_of_a_writer_among_writers(
    owner_dsn: str, world: World
) -> None:
    rooms = Rooms(world)
    async with following(owner_dsn, news(look_seconds=0.05)) as instances:
        for turn in range(TURNS):
            channel = await rooms.a_channel(*WRITERS)
            gone, here = WRITERS[turn % len(WRITERS)], turn % 2
            path = f"/api/channels/{channel}/stream?after=0"
            async with (
                streaming(instances[here].named(gone), path) as stream,
                asyncio.TaskGroup() as tasks,
            ):
                await stream.until("ready")
                for writer in WRITERS:
                    tasks.create_task(write(instances, channel, writer))
                await stream.until("message")
                removed = await instances[1 - here].named("owner").call("DELETE", f"{path[:-15]}/members/{gone}")
                assert removed.status_code == 200, removed.text
                received = await stream.until("closed")

            left_seq = removed.json()["left_seq"]
            *events, bye, _ = received
            assert bye.data == {"reason": "removed"}
            assert (events[-1].name, events[-1].data["user_id"], events[-1].data["seq"]) == (
                "member_removed",
                gone,
                left_seq,
            )
            log = await rooms.events(channel)
            assert max((event.seq for event in log if event.actor_id == gone), default=0) < left_seq
            assert [event.seq for event in log] == list(range(1, len(log) + 1))
    assert await world.broken_promises() == []


async def test_a_stream_ends_with_its_token_and_a_fresh_cookie_resumes_on_the_other_instance(
    owner_dsn: str, world: World
) -> None:
    rooms = Rooms(world)
    channel = await rooms.a_channel("ada", *WRITERS)
    path = f"/api/channels/{channel}/stream"
    async with following(owner_dsn, news(look_seconds=0.05)) as (here, there), asyncio.TaskGroup() as tasks:
        async with streaming(here.named("ada", lifetime_seconds=4), f"{path}?after=0") as stream:
            for writer in WRITERS:
                tasks.create_task(write((here, there), channel, writer))
            received = await stream.until("bye")
            last_id = stream.last_id or ""
        for writer in WRITERS:
            tasks.create_task(write((here, there), channel, writer, first=EACH))
        cookie = (await there.named("ada").post("/api/streams/session")).headers["set-cookie"].partition(";")[0]
        async with streaming(there, path, {"cookie": cookie, "last-event-id": last_id}) as resumed:
            received += await resumed.up_to(10 + 2 * EACH * len(WRITERS))

    assert [event.data for event in received if event.name == "bye"] == [{"reason": "token_ended"}]
    seqs = [event.data["seq"] for event in received if "seq" in event.data]
    assert seqs == [event.seq for event in await rooms.events(channel)]
