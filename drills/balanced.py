"""HAProxy in front of the servers of a stage, with the configuration of docker/haproxy as it is."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from drills.stage import Stage, staged
from tests.integration.balancers import Balancer, balancing

CHECK_INTERVAL = "2s"
"""That of the example."""
DRAIN_DELAY_SECONDS = "10"
"""That which the documents recommend for the example."""


@asynccontextmanager
async def balanced() -> AsyncIterator[tuple[Stage, Balancer]]:
    """Run two servers behind a balancer that sends requests to both."""
    haproxy = balancing(CHECK_INTERVAL)
    balancer = await asyncio.to_thread(haproxy.__enter__)
    try:
        async with staged(
            servers=0,
            TALLYSTICK_DRAIN_DELAY_SECONDS=DRAIN_DELAY_SECONDS,
            TALLYSTICK_TRUSTED_PROXIES="127.0.0.1",
        ) as stage:
            await asyncio.gather(*(stage.start(port=port) for port in balancer.instances.values()))
            stage.servers.sort(key=lambda server: server.address != f"http://127.0.0.1:{balancer.instances['first']}")
            for name in balancer.instances:
                await asyncio.to_thread(balancer.wait_until, name, "UP")
            yield stage, balancer
    finally:
        await asyncio.to_thread(haproxy.__exit__, None, None, None)
