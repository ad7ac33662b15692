"""The PostgreSQL of `tallystick serve`: started if it is embedded, migrated, and checked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tallystick.entrypoints.cli.check import refuse_unsafe
from tallystick.entrypoints.cli.embedded import own_database
from tallystick.entrypoints.cli.migrate import bring_up_to_date
from tallystick.entrypoints.settings import Settings


@contextmanager
def served_database(settings: Settings) -> Iterator[Settings]:
    """Yield the settings that reach the database; the program ends where it must not be served."""
    with own_database(settings) if settings.is_embedded else nullcontext(settings) as connected:
        asyncio.run(bring_up_to_date(connected))
        asyncio.run(refuse_unsafe(connected))
        yield connected
