"""Two instances of the service on one database, with real connections."""

from collections.abc import AsyncIterator

import pytest

from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.worlds.world import World


@pytest.fixture
async def instances(owner_dsn: str, world: World) -> AsyncIterator[tuple[Caller, Caller]]:
    """Return nameless callers of two instances on an empty database."""
    given = settings(database_url=service_of(owner_dsn))
    async with running(given, "postgres") as (first, _), running(given, "postgres") as (second, _):
        yield first, second


@pytest.fixture
async def superuser(server: tuple[str, str], owner_dsn: str) -> AsyncIterator[Session]:
    """Return a superuser's session on the world's database."""
    async with session(superuser_of(server, owner_dsn)) as connection:
        yield connection
