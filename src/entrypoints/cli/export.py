"""`tallystick export`: every row of a kind, to take the data elsewhere."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, get_args

import rich_click as click
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tallystick.domain.exports import ExportKind
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.outputs import opened, target_of
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import ERR, refuse, say_json
from tallystick.entrypoints.renderings import FORMATS, Format, Rendering

_Show = Callable[[int], None]

_LINE_EVERY_ROWS = 100_000
_PATIENCE_SECONDS = 60.0


_INSTEAD = "without --output rows go to standard output, which can be redirected"


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
    help="A file, which appears when it is complete; - is standard output.",
)
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--json", "as_json", is_flag=True, help="Report what was written as one JSON document; needs --output.")
def export(kind: ExportKind, form: Format, output: Path | None, force: bool, as_json: bool) -> None:
    """Write every row of KIND to standard output, or to a file, ordered by its key.

    Codes and aliases of deleted users are among them, with the time since when they no longer resolve. Rows are read a
    page at a time: no other command waits, and rows that are stored meanwhile may be missing. Texts stay as they are:
    a spreadsheet takes codes such as 0012E34 for numbers, and reasons that begin with = for formulas, unless it is set
    to import text.
    """
    target = target_of(output, is_to_replace=force, instead=_INSTEAD)
    if target is None and as_json:
        refuse("--json needs --output with a file: standard output is where the rows go", ExitStatus.WRONG)

    async def write(session: Session) -> int:
        with opened(target, is_to_replace=force) as file:
            # A terminal that shows the rows has no room for progress.
            is_live = ERR.is_terminal and not file.isatty()
            return await _write(session, kind, Rendering(kind, form), file, is_live=is_live)

    try:
        rows = run(write)
    except BrokenPipeError:
        raise SystemExit(ExitStatus.NO) from None
    if as_json:
        say_json({"kind": kind, "format": form, "rows": rows, "output": str(output)})
    else:
        ERR.print(f"{kind}: {rows} rows")


async def _write(session: Session, kind: ExportKind, rendering: Rendering, file: BinaryIO, *, is_live: bool) -> int:
    rows, service = 0, await session.as_service(statement_seconds=_PATIENCE_SECONDS)
    with _progress(kind, is_live=is_live) as show:
        file.write(rendering.opening())
        async for page in service.read_export(kind):
            file.write(rendering.lines(page))
            rows += len(page)
            show(rows)
    file.flush()
    return rows


@contextmanager
def _progress(kind: ExportKind, *, is_live: bool) -> Iterator[_Show]:
    """Show the number of rows so far: live at a terminal, in plain lines elsewhere."""
    if not is_live:
        yield lambda rows: None if rows % _LINE_EVERY_ROWS else ERR.print(f"{kind}: {rows} rows so far")
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=ERR, transient=True) as progress:
        task = progress.add_task(kind, total=None)
        yield lambda rows: progress.update(task, description=f"{kind}: {rows} rows")
