"""HAProxy in front of the servers of a testbed, with the configuration of docker/haproxy as it is."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from drills.testbed import Testbed, new_testbed
from tests.integration.balancers import Balancer, balancing

CHECK_INTERVAL = "2s"
"""That of the example."""
DRAIN_DELAY_SECONDS = "10"
"""That which the documents recommend for the example."""


@asynccontextmanager
async def balanced() -> AsyncIterator[tuple[Testbed, Balancer]]:
    """Run a balancer and a database; `start` starts the servers."""
    haproxy = balancing(CHECK_INTERVAL)
    balancer = await asyncio.to_thread(haproxy.__enter__)
    try:
        async with new_testbed(
            servers=0,
            TALLYSTICK_DRAIN_DELAY_SECONDS=DRAIN_DELAY_SECONDS,
            TALLYSTICK_TRUSTED_PROXIES="127.0.0.1",
        ) as testbed:
            yield testbed, balancer
    finally:
        await asyncio.to_thread(haproxy.__exit__, None, None, None)


async def start(testbed: Testbed, balancer: Balancer, *names: str) -> None:
    """Start servers, and wait until the balancer sends requests to them."""
    await asyncio.gather(*(testbed.start(port=balancer.instances[name]) for name in names))
    for name in names:
        await asyncio.to_thread(balancer.wait_until, name, "UP")


async def replace(testbed: Testbed, balancer: Balancer, place: int, python_path: Path | None = None) -> None:
    """End a server by SIGTERM once the balancer has taken it out, and start another one in its place.

    `python_path` has another version of the packages.
    """
    server, name = testbed.servers[place], list(balancer.instances)[place]
    server.send(signal.SIGTERM)
    await asyncio.to_thread(balancer.wait_until, name, "DOWN")
    assert server.is_running, f"{name} ended before the balancer had taken it out"
    assert await asyncio.to_thread(server.wait) == 0, server.output
    assert '"event": "ending"' in server.output, server.output
    if python_path is None:
        await testbed.start(place=place)
    else:
        await testbed.start(place=place, PYTHONPATH=str(python_path))
    await asyncio.to_thread(balancer.wait_until, name, "UP")
