"""The database as commands find it: running, up to date, and spoken to as the service speaks to it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from tallystick.adapters.addresses import without_password
from tallystick.adapters.postgres.database import Database, PoolSettings
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.entrypoints.cli.embedded import FORESEEN, running_database
from tallystick.entrypoints.cli.migrate import refuse_pending
from tallystick.entrypoints.cli.terminal import named_errors
from tallystick.entrypoints.settings import Settings


def database_of(settings: Settings) -> str:
    """Return which database a command changes, for the person who is asked; without its password."""
    if settings.is_embedded:
        return f"the embedded database in {settings.data_dir}"
    return without_password(settings.direct_url)


@contextmanager
def migrated_database(settings: Settings, *errors: type[Exception]) -> Iterator[Settings]:
    """Yield how to reach a database that runs and is up to date.

    What is foreseen of databases, and these errors, end the program with a sentence.
    """
    with named_errors(*FORESEEN, *errors), running_database(settings) as connected:
        asyncio.run(refuse_pending(connected))
        yield connected


@asynccontextmanager
async def service_transactions(
    settings: Settings, *, statement_seconds: float = PoolSettings().statement_seconds
) -> AsyncIterator[PostgresTransactions]:
    """Yield what opens transactions with the rights of the service, on a pool of its own.

    It goes past a pooler, which may drop how long a statement of a command may take.
    """
    pool = PoolSettings(size=2, statement_seconds=statement_seconds, cache_statements=settings.cache_statements == "on")
    database = Database(settings.direct_url, pool)
    await database.open()
    try:
        await database.enter()
        yield PostgresTransactions(database)
    finally:
        await database.close()
