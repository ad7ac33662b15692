"""The PostgreSQL of `tallystick serve`: started if it is embedded, migrated, and checked."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from tallystick.adapters.postgres.connecting import NotThere, reach
from tallystick.entrypoints.cli.check import refuse_unsafe
from tallystick.entrypoints.cli.embedded import own_database
from tallystick.entrypoints.cli.migrate import bring_up_to_date
from tallystick.entrypoints.cli.terminal import ERR
from tallystick.entrypoints.settings import Settings

_PAUSE_SECONDS = 1.0


@contextmanager
def served_database(settings: Settings) -> Iterator[Settings]:
    """Yield the settings that reach the database, once it is there; the program ends where it must not be served."""
    with own_database(settings) if settings.is_embedded else nullcontext(settings) as connected:
        asyncio.run(_wait_for_database(connected))
        asyncio.run(bring_up_to_date(connected))
        asyncio.run(refuse_unsafe(connected))
        yield connected


async def _wait_for_database(settings: Settings) -> None:
    """Wait until both logins can connect, and print why they cannot; Unreachable where waiting does not help."""
    for dsn in dict.fromkeys((settings.direct_url, settings.database_url or "")):
        printed = ""
        while True:
            try:
                await reach(dsn, name="tallystick serve")
            except NotThere as error:
                if str(error) != printed:
                    printed = str(error)
                    ERR.print("[yellow]waiting:[/]", end=" ")
                    ERR.print(printed, markup=False)
                await asyncio.sleep(_PAUSE_SECONDS)
            else:
                break
