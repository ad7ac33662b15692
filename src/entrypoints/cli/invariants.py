"""`tallystick invariants`: are the promises kept, by SQL."""

import asyncio
from collections.abc import Sequence

import rich_click as click
from rich.table import Table

from tallystick.adapters.system import SystemRandomness
from tallystick.application.invariants import PROMISES, Invariant
from tallystick.application.reads import Reads
from tallystick.domain.refusals import Overloaded
from tallystick.entrypoints.cli.database import migrated_database, service_transactions
from tallystick.entrypoints.cli.terminal import NO, OUT, say_json, settings_or_exit
from tallystick.entrypoints.settings import Settings

_WIDTH = max(map(len, PROMISES.values())) + len("  ") + len(" broken ")
"""No promise is cut short, however narrow the terminal is."""
_PATIENCE_SECONDS = 3600.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def invariants(as_json: bool) -> None:
    """Count broken promises in what is stored; exits with 1 where one is broken. Reads whole tables."""
    settings = settings_or_exit()
    with migrated_database(settings, Overloaded) as connected:
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
    async with service_transactions(settings, statement_seconds=_PATIENCE_SECONDS) as transactions:
        reads = Reads(transactions, SystemRandomness())
        return await reads(lambda stores: stores.invariants.count())
