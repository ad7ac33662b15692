"""A drill in which servers are killed a hundred times under load."""

import asyncio
import random
import signal
import time
from collections.abc import Iterator

from drills.forks import Fork
from drills.report import Drill, DrillResult
from drills.testbed import Testbed, Traffic, new_testbed, under_load
from tests.integration.poolers import free_port

KILLS = 100
SERVERS = 3
"""Some serve while others start."""
MOST_ANSWERS, MOST_SECONDS = 40, 0.05
"""A server is killed after up to so many successes and this time, drawn anew for each kill."""
SEED = 20261201


async def _servers_killed() -> DrillResult:
    drawn = random.Random(SEED)
    async with new_testbed(servers=0) as testbed:
        for _ in range(SERVERS):
            await _start(testbed, len(testbed.servers), free_port())
        async with under_load(testbed) as traffic:
            began = time.monotonic()
            left = iter(range(KILLS))
            await asyncio.gather(*(_kill(testbed, place, traffic, left, drawn) for place in range(SERVERS)))
            seconds = time.monotonic() - began
            healthy = await traffic.seconds_until_healthy()
            unknown = sum(
                traffic.journal.knowledge(operation) == "unknown" for operation in traffic.journal.operations()
            )
            return traffic.shown(
                healthy,
                f"{KILLS / seconds:.1f} kills a second",
                f"{unknown} outcomes were unknown until the clients asked again",
            )


async def _kill(testbed: Testbed, place: int, traffic: Traffic, left: Iterator[int], drawn: random.Random) -> None:
    """Kill the server of a place and start the next one, until there were enough kills."""
    for _ in left:
        await traffic.clients.until_successes(drawn.randint(1, MOST_ANSWERS))
        await asyncio.sleep(drawn.uniform(0, MOST_SECONDS))
        killed = testbed.servers[place]
        assert await asyncio.to_thread(killed.end, signal.SIGKILL) == -signal.SIGKILL, killed.output
        await _start(testbed, place, int(killed.address.rpartition(":")[2]))


async def _start(testbed: Testbed, place: int, port: int) -> None:
    server = await asyncio.to_thread(Fork, port, folder=testbed.folder, environment=testbed.settings())
    testbed.servers[place : place + 1] = [server]
    await asyncio.to_thread(server.wait_until_ready)


DRILLS = (Drill("servers-killed", f"{SERVERS} servers are killed {KILLS} times under load (SIGKILL)", _servers_killed),)
