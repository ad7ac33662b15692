"""The service on PostgreSQL, in this process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.integration.conftest import service_of
from tests.services import Caller, Serve, running, settings
from tests.worlds import World


@pytest.fixture
async def serve(world: World, owner_dsn: str) -> AsyncIterator[Serve]:
    """Return a function that starts the service with some settings, on an empty database."""
    async with AsyncExitStack() as services:

        async def start(**changes: Any) -> Caller:
            given = settings(database_url=service_of(owner_dsn), **changes)
            caller, _ = await services.enter_async_context(running(given, "postgres"))
            return caller

        yield start


@pytest.fixture
async def anyone(serve: Serve) -> Caller:
    """Return a caller without a name."""
    return await serve()
