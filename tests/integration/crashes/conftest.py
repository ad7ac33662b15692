"""Services that speak to their database by a wire of their own."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.wires import Wire, wired
from tests.worlds.world import World

INSTANCES = 8


@pytest.fixture(scope="module")
async def wired_services(owner_dsn: str) -> AsyncIterator[list[tuple[Wire, Caller]]]:
    """Return instances, each with the wire that can be cut."""
    async with AsyncExitStack() as stack:
        opened = []
        for _ in range(INSTANCES):
            wire = await stack.enter_async_context(wired(owner_dsn))
            anyone, _ = await stack.enter_async_context(
                running(settings(database_url=service_of(wire.dsn)), "postgres")
            )
            opened.append((wire, anyone))
        yield opened


@pytest.fixture
async def wired_instances(wired_services: list[tuple[Wire, Caller]], world: World) -> list[tuple[Wire, Caller]]:
    """Return the instances on an empty database, with wires as good as new."""
    for wire, _ in wired_services:
        wire.heal()
        wire.cuts = 0
    return wired_services
