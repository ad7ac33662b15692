"""The service on memory, in this process."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from tests.services import Caller, Serve, running, settings


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
