"""`tallystick invariants`: whether the stored rows keep every promise, by SQL, and which rows do not."""

from collections.abc import Sequence
from functools import partial

import msgspec
import rich_click as click
from rich.table import Table

from tallystick.application.invariants import LARGEST_LIST, PROMISES, Invariant, InvariantState
from tallystick.application.transactions import Stores
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.repair import PATIENCE_SECONDS, repair
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import OUT, say_json

_WIDTH = max(map(len, PROMISES)) + max(map(len, PROMISES.values())) + len("    ") + len(" unfinished ")
"""Wide enough for every promise, however narrow the terminal is."""


class Report(msgspec.Struct, frozen=True, omit_defaults=True):
    """One promise with its state and, where they were asked for, its broken rows."""

    name: str
    promise: str
    violations: int
    state: InvariantState
    rows: list[str] | None = None
    """The keys of the first broken rows."""
    more: int | None = None
    """How many broken rows are not listed."""


@click.command()
@click.option(
    "--ids", "is_to_name", is_flag=True, help=f"Name the broken rows, the first {LARGEST_LIST} of each promise."
)
@click.option(
    "--repair", "repaired", metavar="NAME", type=click.Choice(tuple(PROMISES)), help="Repair what breaks this promise."
)
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask before a repair; required without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def invariants(is_to_name: bool, repaired: str | None, is_sure: bool, as_json: bool) -> None:
    """Count broken promises in what is stored. Reads whole tables, in one snapshot.

    Exits with 1 where a promise is broken, or where rows can be hidden from the role that counts. A promise about
    tables without rows is shown as `no rows`.

    With --repair, the broken rows of one promise are shown, and repaired after a question that names the database. Rows
    are locked page by page and judged again, so that traffic may continue, and each change leaves a row in
    tallystick.operator_actions. Exits with 1 where rows are left that no command can repair.
    """
    if repaired is not None:
        run(lambda session: repair(session, repaired, is_sure=is_sure, as_json=as_json))
        return
    reports = run(lambda session: _reports(session, is_to_name=is_to_name))
    is_kept = all(report.state in {"holds", "empty"} for report in reports)
    if as_json:
        say_json({"kept": is_kept, "items": reports})
    else:
        _show(reports)
    if not is_kept:
        raise SystemExit(ExitStatus.NO)


async def _reports(session: Session, *, is_to_name: bool) -> list[Report]:
    service = await session.as_service(statement_seconds=PATIENCE_SECONDS)
    counted = await service.slow_reads(lambda stores: stores.invariants.count())
    rows = dict[str, list[str]]()
    if is_to_name:
        for name in (each.name for each in counted if each.violations):
            rows[name] = await service.slow_reads(partial(_rows, name))
    return [_report(each, rows.get(each.name)) for each in counted]


async def _rows(name: str, stores: Stores) -> list[str]:
    return await stores.invariants.broken_rows(name, limit=LARGEST_LIST)


def _report(invariant: Invariant, rows: list[str] | None) -> Report:
    more = None if rows is None else max(0, invariant.violations - len(rows))
    return Report(invariant.name, invariant.promise, invariant.violations, invariant.state, rows, more)


def _show(reports: Sequence[Report]) -> None:
    table = Table("name", "promise", "broken", box=None, width=_WIDTH)
    for report in reports:
        table.add_row(report.name, report.promise, _found(report))
    OUT.print(table)
    for report in (each for each in reports if each.rows is not None):
        rest = f" and {report.more} more" if report.more else ""
        OUT.print(f"{report.name}: {', '.join(report.rows or ())}{rest}", markup=False)
    if any(report.state == "hidden" for report in reports):
        OUT.print("hidden: a policy of row level security can hide rows from this role; `tallystick check` names it")
    if any(report.state == "empty" for report in reports):
        OUT.print("no rows: nothing is stored that could break this promise")


def _found(report: Report) -> str:
    match report.state:
        case "broken":
            return f"[red]{report.violations}[/]"
        case "holds":
            return "0"
        case "empty":
            return "no rows"
        case "hidden" | "unfinished":
            return f"[red]{report.state}[/]"
