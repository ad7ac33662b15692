"""The output of `tallystick backfill`: tables for people, one JSON document for programs."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from tallystick.adapters.legacy.files import NOT_UTF8
from tallystick.application.backfill_planning import DuplicatesUnresolved, NothingReadable
from tallystick.application.backfill_ports import MalformedLines
from tallystick.domain.backfill import Check, LineFaults, Plan, Run, Tally, VerificationReport
from tallystick.entrypoints.cli.terminal import ERR, OUT, say_json, say_table

_LISTED = 20
"""How many lines of a list a terminal shows."""


def show_plan(run: Run, malformed: MalformedLines, *, as_json: bool) -> None:
    """Show what an import would do."""
    plan = run.plan
    if as_json:
        say_json({"plan_hash": run.plan_hash, "state": run.state, "plan": plan, **_malformed_json(malformed)})
        return
    OUT.print(_plan_table(plan))
    _show_faults("lines that cannot be read", malformed.faults)
    _list("lines whose code has no normal form", [f"line {line}" for line in plan.formless_lines], plan.formless)
    if plan.absent_words:
        words = ", ".join(f"{word} ({count})" for word, count in plan.absent_words.items())
        OUT.print(f"fields that count as missing for what they hold, see --null: {words}", markup=False)
    if plan.ignored_columns:
        OUT.print(f"columns that are not used: {', '.join(plan.ignored_columns)}", markup=False)
    OUT.print(f"plan [bold]{run.plan_hash}[/] is {run.state}")
    if run.state == "planned":
        OUT.print(f"next: tallystick backfill apply --plan {run.plan_hash[:12]}")


def show_nothing_readable(error: NothingReadable, *, as_json: bool) -> None:
    """Show why no line of a source could be read."""
    if as_json:
        say_json({"malformed_reasons": error.faults})
        return
    _show_faults("lines that cannot be read", error.faults)
    ERR.print(f"[bold red]tallystick:[/] {error}; nothing was planned")


def show_contests(error: DuplicatesUnresolved, *, as_json: bool) -> None:
    """Show the claims that cannot be decided."""
    if as_json:
        say_json({"unresolved": error.total, "items": error.contests})
        return
    table = Table("code", "claimed by", "created_at", box=None)
    for contest in error.contests:
        created_at = contest.created_at.isoformat() if contest.created_at is not None else "missing"
        table.add_row(contest.code, contest.user_id, created_at)
    say_table(table)
    if error.total > len(error.contests):
        OUT.print(f"and {error.total - len(error.contests)} more")
    ERR.print(f"[bold red]tallystick:[/] {error}; nothing was planned")


def show_applied(run: Run, tally: Tally, skipped: MalformedLines, *, as_json: bool) -> None:
    """Show what an applied run did."""
    if as_json:
        lines = _lines_json(skipped)
        say_json({"plan_hash": run.plan_hash, "state": run.state, "done": _full(tally), "skipped_lines": lines})
        return
    OUT.print(_tallied(tally, _APPLIED))
    _show_faults("lines that were skipped", skipped.faults)
    OUT.print(f"plan {run.plan_hash[:12]} is {run.state}; next: tallystick backfill verify --plan {run.plan_hash[:12]}")


def show_verification(report: VerificationReport, *, as_json: bool) -> None:
    """Show the promises, and which are kept."""
    if as_json:
        checks = [msgspec.structs.asdict(check) | {"holds": check.holds} for check in report.checks]
        say_json(msgspec.structs.asdict(report) | {"checks": checks})
        return
    table = Table("promise", "expected", "found", "", box=None)
    for check in report.checks:
        expected, found = _without_sums(check)
        table.add_row(check.promise, expected, found, "[green]ok[/]" if check.holds else "[red]no[/]")
    say_table(table)
    OUT.print(
        f"{report.codes} codes were followed; {report.conflicts} are another user's and listed, "
        f"{report.deleted} of users who were deleted here"
    )
    _list("lines whose code leads elsewhere", [f"line {line}" for line in report.broken_lines], None)


def show_rolled_back(run: Run, tally: Tally, *, as_json: bool) -> None:
    """Show what a rollback removed, and what it kept and why."""
    if as_json:
        say_json({"plan_hash": run.plan_hash, "state": run.state, "done": _full(tally)})
        return
    OUT.print(_tallied(tally, _ROLLED_BACK))
    OUT.print(f"plan {run.plan_hash[:12]} is {run.state}")


def show_runs(runs: Sequence[tuple[Run, Tally, Tally]], *, as_json: bool) -> None:
    """Show every run and its state."""
    if as_json:
        items = [
            {
                "plan_hash": run.plan_hash,
                "state": run.state,
                "source": run.plan.source,
                "planned_at": run.planned_at,
                "started_at": run.started_at,
                "finished_at": run.finished_at,
                "users": run.plan.users,
                "done": _full(done + taken_back),
            }
            for run, done, taken_back in runs
        ]
        say_json({"items": items})
        return
    table = Table("plan", "state", "planned at", "users", "imported", "removed", "source", box=None)
    for run, done, taken_back in runs:
        imported = str(done.kept + done.reminted + done.minted)
        planned_at = run.planned_at.isoformat(timespec="seconds")
        removed = str(taken_back.codes_removed)
        table.add_row(
            run.plan_hash[:12], run.state, planned_at, str(run.plan.users), imported, removed, escape(run.plan.source)
        )
    if runs:
        say_table(table)
    else:
        OUT.print("nothing was planned yet: tallystick backfill plan --source FILE_OR_DSN")


_APPLIED = (
    ("users", "users imported"),
    ("kept", "codes kept"),
    ("reminted", "users who got a new code for the one they lost"),
    ("minted", "users without a code who got one"),
    ("aliases", "codes that became an alias"),
    ("conflicts", "codes that are another user's: tallystick export conflicts"),
    ("edges", "referrals imported"),
    ("points", "balances credited"),
    ("left_out", "referrals and balances that could not be stored beside rows that were here"),
)
_ROLLED_BACK = (
    ("codes_removed", "codes removed"),
    ("codes_clicked", "codes kept as aliases: a link with them was followed"),
    ("codes_attributed", "codes kept as aliases: a referral names them"),
    ("users_removed", "users removed"),
    ("users_kept", "users kept: they have other rows here"),
    ("edges_removed", "referrals removed"),
    ("points_removed", "balances removed"),
    ("points_kept", "balances kept: they have changed since"),
)


def _without_sums(check: Check) -> tuple[str, str]:
    """Return the expected and the found value without checksums, which only programs compare."""
    expected, found = (text.partition(",")[0] for text in (check.expected, check.found))
    return expected, found if check.holds or expected != found else f"{found} with other contents"


def _plan_table(plan: Plan) -> Table:
    """Return the numbers of a plan; indented numbers add up to the number above them."""
    table = _bare()
    for total, total_meaning, parts in _sums(plan):
        table.add_row(str(total), total_meaning)
        for count, meaning in parts:
            table.add_row(str(count), f"  {meaning}")
    for name, meaning in _BESIDES.items():
        table.add_row(str(getattr(plan, name)), meaning)
    return table


_Sum = tuple[int, str, list[tuple[int, str]]]


def _sums(plan: Plan) -> list[_Sum]:
    absent = plan.missing - plan.formless
    with_code = plan.lines - plan.malformed - plan.deleted_there - plan.missing - plan.empty
    lines = [
        (with_code, "with a code"),
        (absent, "without a code"),
        (plan.empty, "with an empty code"),
        (plan.formless, "with a code that has no normal form, which counts as none"),
        (plan.deleted_there, "about users who were deleted there"),
        (plan.malformed, "that cannot be read"),
    ]
    users = [
        (plan.kept, "who keep their code of the source"),
        (plan.with_code_here, "who keep the code that they have here"),
        (plan.reminted, "who get a new code for the one that they lose"),
        (plan.minted, "who get their first code"),
    ]
    left_out = [(users, f"left out: {_REASONS[reason]}") for reason, users in plan.edges_left_out.items()]
    referrals = [(plan.edges.rows, "to import"), *left_out]
    return [
        (plan.lines, "lines in the source", lines),
        (plan.users, "users", users),
        (sum(count for count, _ in referrals), "referrals in the source", referrals),
        (plan.points.rows, f"balances to import, {plan.points_total} points in all", []),
    ]


_BESIDES = {
    "users_here": "users who are stored here already",
    "deleted_here": "users who were deleted here, and stay so",
    "changed": "codes that are written differently from their normal form",
    "duplicate_codes": "codes that several users claim",
    "duplicate_users": "users who lose a code to an earlier user",
    "held_here": "codes that are another user's here",
    "aliases": "codes that become an alias",
    "fields_left_out": "fields of profiles that cannot be used",
}


_REASONS = {
    "ambiguous": "it could be a code or a user id (say which by --referred-by)",
    "cycle": "two users would have invited each other",
    "self": "it is the user's own",
    "unknown": "no user has it",
}


def _tallied(tally: Tally, words: Sequence[tuple[str, str]]) -> Table:
    table = _bare()
    for name, meaning in words:
        table.add_row(str(getattr(tally, name)), meaning)
    return table


def _bare() -> Table:
    table = Table(box=None, show_header=False)
    table.add_column(justify="right")
    return table


def _full(tally: Tally) -> dict[str, Any]:
    """Return every count; for a list of positions, its length."""
    counts = msgspec.structs.asdict(tally)
    return {name: len(value) if isinstance(value, list) else value for name, value in counts.items()}


def _malformed_json(malformed: MalformedLines) -> dict[str, object]:
    return {"malformed_lines": _lines_json(malformed), "malformed_reasons": malformed.faults}


def _lines_json(malformed: MalformedLines) -> list[dict[str, object]]:
    return [{"line": line, "reason": reason} for line, reason in malformed.first]


def _show_faults(what: str, faults: Sequence[LineFaults]) -> None:
    """Show each reason once, with the number of its lines and the first of them."""
    lines = [f"{_places(fault)}: {fault.reason}" for fault in faults]
    _list(what, lines, None)
    if any(fault.reason == NOT_UTF8 for fault in faults):
        OUT.print("  the file may be in another encoding: try iconv -f WINDOWS-1252 -t UTF-8 OLD > NEW", markup=False)


def _places(fault: LineFaults) -> str:
    numbers = ", ".join(map(str, fault.first_lines))
    if fault.lines == 1:
        return f"line {numbers}"
    return f"{fault.lines} lines ({numbers}{', ...' if fault.lines > len(fault.first_lines) else ''})"


def _list(what: str, lines: Sequence[str], total: int | None) -> None:
    if not lines:
        return
    OUT.print(f"{what}:")
    for line in lines[:_LISTED]:
        OUT.print(f"  {line}", markup=False)
    rest = (total if total is not None else len(lines)) - len(lines[:_LISTED])
    if rest > 0:
        OUT.print(f"  and {rest} more")
