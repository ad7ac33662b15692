"""`tallystick invariants`: whether the stored rows keep every promise, by SQL."""

from collections.abc import Sequence

import rich_click as click
from rich.table import Table

from tallystick.application.invariants import PROMISES, Invariant
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import OUT, say_json

_WIDTH = max(map(len, PROMISES.values())) + len("  ") + len(" broken ")
"""Wide enough for every promise, however narrow the terminal is."""
_PATIENCE_SECONDS = 3600.0


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def invariants(as_json: bool) -> None:
    """Count broken promises in what is stored; exits with 1 where one is broken. Reads whole tables."""
    counted = run(_count)
    broken = any(invariant.violations for invariant in counted)
    if as_json:
        say_json({"kept": not broken, "items": counted})
    else:
        table = Table("promise", "broken", box=None, width=_WIDTH)
        for invariant in counted:
            table.add_row(invariant.promise, f"[red]{invariant.violations}[/]" if invariant.violations else "0")
        OUT.print(table)
    if broken:
        raise SystemExit(ExitStatus.NO)


async def _count(session: Session) -> Sequence[Invariant]:
    service = await session.as_service(statement_seconds=_PATIENCE_SECONDS)
    return await service.reads(lambda stores: stores.invariants.count())
