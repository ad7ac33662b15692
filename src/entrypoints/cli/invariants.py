"""`tallystick invariants`: are the promises kept, by SQL."""

import asyncio
from collections.abc import Sequence

import asyncpg
import rich_click as click
from rich.table import Table

from adapters.embedded.cluster import ClusterError
from adapters.embedded.unprivileged import NoUnprivilegedUser
from adapters.postgres.database import Database, PoolSettings
from adapters.postgres.migrator import MigrationRefused
from adapters.postgres.transactions import PostgresTransactions
from adapters.system import SystemRandomness
from application.invariants import PROMISES, Invariant
from application.reads import Reads
from domain.refusals import Overloaded
from entrypoints.cli.embedded import running_database
from entrypoints.cli.migrate import refuse_pending
from entrypoints.cli.terminal import NO, OUT, named_errors, say_json, settings_or_exit
from entrypoints.settings import Settings

_WIDTH = max(map(len, PROMISES.values())) + len("  ") + len(" broken ")
"""No promise is cut short, however narrow the terminal is."""
_PATIENCE = PoolSettings(size=2, statement_seconds=3600.0)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def invariants(as_json: bool) -> None:
    """Count broken promises in what is stored; exits with 1 where one is broken. Reads whole tables."""
    settings = settings_or_exit()
    errors = (ClusterError, NoUnprivilegedUser, MigrationRefused, OSError, asyncpg.PostgresError, Overloaded)
    with named_errors(*errors), running_database(settings) as connected:
        asyncio.run(refuse_pending(connected))
        counted = asyncio.run(_count(connected))
    broken = any(invariant.violations for invariant in counted)
    if as_json:
        say_json({"kept": not broken, "items": counted})
    else:
        table = Table("promise", "broken", box=None, width=_WIDTH)
        for invariant in counted:
            table.add_row(invariant.promise, f"[red]{invariant.violations}[/]" if invariant.violations else "0")
        OUT.print(table)
    if broken:
        raise SystemExit(NO)


async def _count(settings: Settings) -> Sequence[Invariant]:
    database = Database(settings.database_url or "", _PATIENCE)
    await database.open()
    try:
        reads = Reads(PostgresTransactions(database), SystemRandomness())
        return await reads(lambda stores: stores.invariants.count())
    finally:
        await database.close()
