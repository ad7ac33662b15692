"""Many streams when their server is replaced: all of them end in order, and go on at another instance."""

import os
import re
import signal
from collections import Counter

import httpx2

from tallystick.application.idempotency import Keyed
from tests.http.socket_streams import Reading, SocketStream, in_waves, open_stream, raise_open_files
from tests.integration.cli.conftest import installed, on
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

STREAMS = int(os.environ.get("TALLYSTICK_TEST_STREAMS", "200"))  # `make storm` takes more
OF_A_USER, CHANNELS, MISSED = 10, 5, 10
PAGES = re.compile(r'^tallystick_store_call_seconds_count\{operation="topics\.events"\} (\S+)$', re.MULTILINE)


async def a_crowd(rooms: Rooms) -> list[Reading]:
    """Make channels that all users are members of, and return the streams that these open."""
    users = [f"user-{number}" for number in range(STREAMS // OF_A_USER)]
    channels = [await rooms.a_channel() for _ in range(CHANNELS)]
    for channel in channels:
        await rooms.change_members([Keyed(rooms.placement(channel, user)) for user in users])
    return [Reading(user, channels[turn % CHANNELS]) for user in users for turn in range(OF_A_USER)]


async def test_streams_of_a_server_that_ends_go_on_at_another_one(world: World, owner_dsn: str) -> None:
    raise_open_files()
    rooms = Rooms(world)
    crowd = await a_crowd(rooms)
    channels = {reading.channel_id for reading in crowd}
    with installed({**on(owner_dsn), "TALLYSTICK_RATE_LIMITS": "off"}) as installation:
        old, new = installation.serve(), installation.serve()

        async def begin(reading: Reading) -> SocketStream:
            stream = await open_stream(old.address, reading)
            await stream.until("ready")
            return stream

        streams = await in_waves(crowd, begin)
        first = {channel: (await rooms.send(channel, "owner", "before")).seq for channel in channels}
        for stream, reading in zip(streams, crowd, strict=True):
            await stream.until_seq(first[reading.channel_id])

        old.send(signal.SIGTERM)

        assert Counter([(await stream.until("bye"))["reason"] for stream in streams]) == {"draining": STREAMS}
        assert Counter([(await stream.next())[0] for stream in streams]) == {"closed": STREAMS}
        assert old.wait() == 0, old.output
        assert "cut off" not in old.output

        for stream in streams:
            stream.close()
        last = {}
        for channel in channels:
            for number in range(MISSED):
                last[channel] = (await rooms.send(channel, "owner", f"missed {number}")).seq

        async def go_on(before: tuple[SocketStream, Reading]) -> SocketStream:
            stream = await open_stream(new.address, before[1], before[0].last_id)
            await stream.until("ready")
            return stream

        again = await in_waves(list(zip(streams, crowd, strict=True)), go_on)
        pages = PAGES.search(httpx2.get(f"{new.address}/metrics", trust_env=False).text)
        for stream in again:
            stream.close()

    for stream, reading in zip(again, crowd, strict=True):
        assert stream.seqs == list(range(first[reading.channel_id] + 1, last[reading.channel_id] + 1))
    assert pages is not None
    assert float(pages[1]) <= 2 * CHANNELS, "what was missed is read for each channel, and not for each stream"
    halves = Counter(stream.retry_ms // 500 for stream in streams)
    assert set(halves) == set(range(4, 10)), "they come back at any time from 2 to 5 seconds"
    assert max(halves.values()) < STREAMS / 3, halves
