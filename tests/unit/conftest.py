"""A world and the service on memory, in this process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tests.http.replacements import stopped
from tests.http.services import Caller, Serve, running, settings
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


@pytest.fixture
def world() -> World:
    """Return a world on memory."""
    return World(MemoryBackend())


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """Return a function that starts the service with some settings."""
    async with AsyncExitStack() as services:

        async def start(**changes: Any) -> Caller:
            caller, _ = await services.enter_async_context(running(settings(**changes), "memory"))
            return caller

        yield start


@pytest.fixture
async def anyone(serve: Serve) -> Caller:
    """Return a caller without a name."""
    return await serve()


@pytest.fixture
async def still() -> AsyncIterator[Caller]:
    """Return a caller of a service whose clock stands still."""
    async with running(settings(), "memory", stopped(ManualClock(datetime.now(UTC)))) as (caller, _):
        yield caller
