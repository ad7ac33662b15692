"""Clients who do not read: the others receive everything, memory is bounded, and the streams end and go on whole."""

import asyncio
import re

import httpx2
import psutil

from tallystick.application.idempotency import Keyed
from tallystick.domain.channels import ChannelId
from tests.http.socket_streams import Reading, SocketStream, in_waves, open_stream, raise_open_files
from tests.integration.cli.conftest import installed, on
from tests.processes.installations import until_true
from tests.processes.service import Process
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

READERS, STUCK, OF_A_USER = 200, 20, 10
LARGEST = "\N{EARTH GLOBE EUROPE-AFRICA}" * 4000
STORED, LIVE, AT_ONCE = 400, 10, 50
"""Messages of 16 KB. A client who does not read is behind by 6.4 MB, of which the kernel takes up to 2.6 MB."""
BOUND_BYTES = 40 * 1024 * 1024
"""Those who do not read are behind by 128 MB together, of which the kernel takes less than a half."""


async def a_channel(rooms: Rooms, users: list[str]) -> ChannelId:
    channel = await rooms.a_channel()
    await rooms.change_members([Keyed(rooms.placement(channel, user)) for user in users])
    return channel


async def test_others_receive_everything_and_those_who_do_not_read_are_let_go(world: World, owner_dsn: str) -> None:
    raise_open_files()
    rooms = Rooms(world)
    users = [f"user-{number}" for number in range((READERS + STUCK) // OF_A_USER)]
    channel = await a_channel(rooms, users)
    begin = 1 + len(users)
    for _ in range(0, STORED, AT_ONCE):
        await rooms.send_together(*(rooms.message(channel, "owner", LARGEST) for _ in range(AT_ONCE)))
    end = begin + STORED
    crowd = [Reading(user, channel) for user in users for _ in range(OF_A_USER)]

    with installed({**on(owner_dsn), "TALLYSTICK_RATE_LIMITS": "off"}) as installation:
        server = installation.serve()

        async def follow(reading: Reading) -> SocketStream:
            stream = await open_stream(server.address, reading)
            await stream.until("ready")
            return stream

        readers = await in_waves(crowd[:READERS], follow)
        before = psutil.Process(server.pid).memory_info().rss
        stuck = await in_waves(crowd[READERS:], lambda each: open_stream(server.address, each, f"{begin}"))
        for stream in stuck:
            await stream.until_seq(begin + 1)

        for _ in range(LIVE):
            await rooms.send(channel, "owner", LARGEST)
        await asyncio.gather(*(reader.until_seq(end + LIVE) for reader in readers))
        grown = psutil.Process(server.pid).memory_info().rss - before
        until_true(lambda: left(server) == STUCK, "the time-out of writes ends them after 30 seconds")

        resumed = await open_stream(server.address, crowd[READERS], stuck[0].last_id)
        await resumed.until("ready")
        for stream in (*readers, *stuck, resumed):
            stream.close()

    assert [reader.seqs for reader in readers] == [list(range(end + 1, end + LIVE + 1))] * READERS
    assert grown < BOUND_BYTES
    assert stuck[0].seqs + resumed.seqs == list(range(begin + 1, end + LIVE + 1))


def left(server: Process) -> float:
    """Return how many streams ended because their clients are gone."""
    page = httpx2.get(f"{server.address}/metrics", trust_env=False).text
    found = re.search(r'^tallystick_stream_ends_total\{reason="client_left"\} (\S+)$', page, re.MULTILINE)
    return float(found[1]) if found is not None else 0.0
