"""`tallystick export`: every row of a kind, for whoever takes the data elsewhere."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, get_args

import rich_click as click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tallystick.adapters.system import SystemRandomness
from tallystick.application.exports import ReadExport
from tallystick.application.reads import Reads
from tallystick.domain.exports import ExportKind
from tallystick.domain.refusals import Overloaded
from tallystick.entrypoints.cli.database import migrated_database, service_transactions
from tallystick.entrypoints.cli.outputs import opened, place_of
from tallystick.entrypoints.cli.terminal import ERR, NO, WRONG, refuse, say_json, settings_or_exit
from tallystick.entrypoints.renderings import FORMATS, Format, Rendering
from tallystick.entrypoints.settings import Settings

_Report = Callable[[int], None]

_REPORT_EVERY = 100_000
_PATIENCE_SECONDS = 60.0


@click.command()
@click.argument("kind", type=click.Choice(get_args(ExportKind)))
@click.option(
    "--format",
    "form",
    default="jsonl",
    show_default=True,
    type=click.Choice(FORMATS),
    help="JSON Lines, or CSV, in which an empty field is null.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file, which appears when it is whole; - is standard output.",
)
@click.option("--force", is_flag=True, help="Replace the file where there is one.")
@click.option("--json", "as_json", is_flag=True, help="Tell what was written as one JSON document; needs --output.")
def export(kind: ExportKind, form: Format, output: Path | None, force: bool, as_json: bool) -> None:
    """Write every row of KIND to standard output, or to a file, ordered by its key.

    Codes and aliases of deleted users are among them, with the time since when they resolve to nobody. Rows are read a
    page at a time: nothing is held up, and what is stored meanwhile may be among them or not. Texts stay as they are:
    a spreadsheet takes codes such as 0012E34 for numbers, and reasons that begin with = for formulas, unless it is set
    to import text.
    """
    settings = settings_or_exit()
    place = place_of(output, is_to_replace=force)
    if place is None and as_json:
        refuse("--json needs --output with a file: standard output is where the rows go", WRONG)
    with migrated_database(settings, Overloaded) as connected:
        try:
            with opened(place, is_to_replace=force) as file:
                # At a terminal that shows the rows themselves there is no room for more.
                is_live = ERR.is_terminal and not file.isatty()
                rows = asyncio.run(_write(connected, kind, Rendering(kind, form), file, is_live=is_live))
        except BrokenPipeError:
            raise SystemExit(NO) from None
    if as_json:
        say_json({"kind": kind, "format": form, "rows": rows, "output": str(output)})
    else:
        ERR.print(f"{kind}: {rows} rows")


async def _write(settings: Settings, kind: ExportKind, rendering: Rendering, file: BinaryIO, *, is_live: bool) -> int:
    rows = 0
    async with service_transactions(settings, statement_seconds=_PATIENCE_SECONDS) as transactions:
        with _progress(kind, is_live=is_live) as report:
            file.write(rendering.opening())
            async for page in ReadExport(Reads(transactions, SystemRandomness()))(kind):
                file.write(rendering.lines(page))
                rows += len(page)
                report(rows)
        file.flush()
    return rows


@contextmanager
def _progress(kind: ExportKind, *, is_live: bool) -> Iterator[_Report]:
    """Tell how many rows there are by now: live at a terminal, in plain lines elsewhere."""
    if not is_live:
        yield lambda rows: None if rows % _REPORT_EVERY else ERR.print(f"{kind}: {rows} rows so far")
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True) as progress:
        task = progress.add_task(kind, total=None)
        yield lambda rows: progress.update(task, description=f"{kind}: {rows} rows")
