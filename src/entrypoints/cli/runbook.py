"""`tallystick runbook`: diagnoses an incident, names the safe fix, and applies it on demand."""

from collections.abc import Sequence

import msgspec
import rich_click as click
from rich.table import Table

from tallystick.application.invariants import LARGEST_LIST
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.runbook_table import RUNBOOKS, Runbook
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import ERR, OUT, confirm, refuse, say_json, say_table

_BY_NAME = {each.name: each for each in RUNBOOKS}


class Outcome(msgspec.Struct, frozen=True):
    """The findings of a runbook, the fix in words, and what was changed."""

    name: str
    page: str
    database: str
    findings: list[str]
    """One sentence for each fault; after a fix, for each fault that is left."""
    fix: str
    can_apply: bool
    changed: list[str]


@click.command()
@click.argument("name", required=False, type=click.Choice(tuple(_BY_NAME)), metavar="[NAME]")
@click.option("--apply", "is_to_apply", is_flag=True, help="Apply the fix, and leave audit rows.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask before a fix; required without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def runbook(name: str | None, is_to_apply: bool, is_sure: bool, as_json: bool) -> None:
    """Diagnose the incident NAME, and print the safe fix. Without NAME, list the runbooks.

    The diagnosis changes nothing. With --apply, the fix is applied after a question that names the database, and each
    change leaves a row in tallystick.operator_actions. Exits with 1 where something is wrong, or still is after it.
    """
    if name is None:
        _list(as_json=as_json)
        return
    chosen = _BY_NAME[name]
    if is_to_apply and chosen.apply is None:
        refuse(f"no command applies this fix: {chosen.fix}; see {_page(chosen)}", ExitStatus.WRONG)
    outcome = run(lambda session: _follow(session, chosen, is_to_apply=is_to_apply, is_sure=is_sure))
    if as_json:
        say_json(outcome)
    else:
        _show(outcome, is_applied=is_to_apply)
    if outcome.findings:
        raise SystemExit(ExitStatus.NO)


async def _follow(session: Session, chosen: Runbook, *, is_to_apply: bool, is_sure: bool) -> Outcome:
    findings, changed = await chosen.diagnose(session), list[str]()
    if findings and is_to_apply and chosen.apply is not None:
        if not is_sure:
            ERR.print("\n".join(findings[:LARGEST_LIST]), markup=False)
            if not confirm(f"Apply this in {session.database_name}: {chosen.fix}?"):
                refuse("nothing was changed")
        changed = [f"{each.subject}: {each.found} -> {each.done}" for each in await chosen.apply(session)]
        findings = await chosen.diagnose(session)
    can_apply = chosen.apply is not None
    return Outcome(chosen.name, _page(chosen), session.database_name, findings, chosen.fix, can_apply, changed)


def _page(chosen: Runbook) -> str:
    return f"docs/runbooks/{chosen.page}.md"


def _show(outcome: Outcome, *, is_applied: bool) -> None:
    _lines(outcome.changed)
    if outcome.changed:
        OUT.print(f"changed in {outcome.database}: {len(outcome.changed)}", markup=False)
    if not outcome.findings:
        OUT.print(f"{outcome.name}: nothing is wrong in {outcome.database}", markup=False)
        return
    _lines(outcome.findings)
    OUT.print(f"fix: {outcome.fix}", markup=False)
    if outcome.can_apply and not is_applied:
        OUT.print(f"tallystick runbook {outcome.name} --apply does it", markup=False)
    OUT.print(f"page: {outcome.page}", markup=False)


def _lines(texts: Sequence[str]) -> None:
    for text in texts[:LARGEST_LIST]:
        OUT.print(text, markup=False)
    if len(texts) > LARGEST_LIST:
        OUT.print(f"and {len(texts) - LARGEST_LIST} more")


def _list(*, as_json: bool) -> None:
    if as_json:
        items = [{"name": each.name, "purpose": each.purpose, "page": _page(each)} for each in RUNBOOKS]
        say_json({"items": items})
        return
    table = Table("name", "for", "page", box=None)
    for each in RUNBOOKS:
        table.add_row(each.name, each.purpose, _page(each))
    say_table(table)
