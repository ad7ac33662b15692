"""What `tallystick backfill` says: tables for people, one JSON document for machines."""

from collections.abc import Sequence
from typing import Any

import msgspec
from rich.markup import escape
from rich.table import Table

from adapters.postgres.backfill_plan import DuplicatesUnresolved
from domain.backfill import Plan, Run, Tally, Verification
from entrypoints.cli.terminal import ERR, OUT, say_json, say_table

_LISTED = 20
"""How many lines of a list a terminal shows."""

_PLANNED = (
    ("lines", "lines in the source"),
    ("malformed", "  that cannot be read"),
    ("deleted_there", "  about users who were deleted there"),
    ("missing", "  without a code"),
    ("formless", "    of which have one without a normal form"),
    ("empty", "  with an empty code"),
    ("changed", "  whose code changes under the normal form"),
    ("fields_left_out", "fields of profiles that cannot be used"),
    ("users", "users"),
    ("users_here", "  who are known here already"),
    ("deleted_here", "users who were deleted here, and stay so"),
    ("codes", "users with a code"),
    ("duplicate_codes", "codes that several users claim"),
    ("duplicate_users", "  users who lose one to somebody earlier"),
    ("held_here", "codes that are somebody else's here"),
    ("kept", "users who keep their code"),
    ("with_code_here", "users who keep the code they have here"),
    ("reminted", "users who get a new code for the one they lose"),
    ("minted", "users who get a code, for they have none"),
    ("aliases", "codes that become an alias"),
)


def show_plan(run: Run, malformed: Sequence[tuple[int, str]], *, as_json: bool) -> None:
    """Show what a plan would do."""
    plan = run.plan
    if as_json:
        lines = [{"line": line, "reason": reason} for line, reason in malformed]
        say_json({"plan_hash": run.plan_hash, "state": run.state, "plan": plan, "malformed_lines": lines})
        return
    OUT.print(_counts(plan))
    _list("lines that cannot be read", [f"line {line}: {reason}" for line, reason in malformed], plan.malformed)
    _list("lines whose code has no normal form", [f"line {line}" for line in plan.formless_lines], plan.formless)
    if plan.ignored_columns:
        OUT.print(f"columns that are not used: {escape(', '.join(plan.ignored_columns))}")
    OUT.print(f"plan [bold]{run.plan_hash}[/] is {run.state}")
    if run.state == "planned":
        OUT.print(f"next: tallystick backfill apply --plan {run.plan_hash[:12]}")


def show_contests(error: DuplicatesUnresolved, *, as_json: bool) -> None:
    """Show the claims that nobody can rule on."""
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


def show_applied(run: Run, tally: Tally, skipped: Sequence[tuple[int, str]], *, as_json: bool) -> None:
    """Show what an applied run did."""
    if as_json:
        lines = [{"line": line, "reason": reason} for line, reason in skipped]
        say_json({"plan_hash": run.plan_hash, "state": run.state, "done": _full(tally), "skipped_lines": lines})
        return
    OUT.print(_tallied(tally, _APPLIED))
    _list("lines that were skipped", [f"line {line}: {reason}" for line, reason in skipped], run.plan.malformed)
    OUT.print(f"plan {run.plan_hash[:12]} is {run.state}; next: tallystick backfill verify --plan {run.plan_hash[:12]}")


def show_verification(report: Verification, *, as_json: bool) -> None:
    """Show what was proved."""
    if as_json:
        checks = [msgspec.structs.asdict(check) | {"holds": check.holds} for check in report.checks]
        say_json(msgspec.structs.asdict(report) | {"checks": checks})
        return
    table = Table("promise", "expected", "found", "", box=None)
    for check in report.checks:
        table.add_row(check.promise, check.expected, check.found, "[green]ok[/]" if check.holds else "[red]no[/]")
    say_table(table)
    OUT.print(
        f"{report.codes} codes were followed; {report.conflicts} are somebody else's and listed, "
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
    """Show every run, and how far it has come."""
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
    table = Table("plan", "state", "planned at", "users", "brought in", "taken back", "source", box=None)
    for run, done, taken_back in runs:
        brought = str(done.kept + done.reminted + done.minted)
        planned_at = run.planned_at.isoformat(timespec="seconds")
        removed = str(taken_back.codes_removed)
        table.add_row(
            run.plan_hash[:12], run.state, planned_at, str(run.plan.users), brought, removed, escape(run.plan.source)
        )
    if runs:
        say_table(table)
    else:
        OUT.print("nothing was planned yet: tallystick backfill plan --source FILE_OR_DSN")


_APPLIED = (
    ("users", "users brought in"),
    ("kept", "codes kept"),
    ("reminted", "users who got a new code for the one they lost"),
    ("minted", "users who got a code, for they had none"),
    ("aliases", "codes that became an alias"),
    ("conflicts", "codes that are somebody else's: tallystick export conflicts"),
    ("edges", "referrals brought in"),
    ("points", "balances credited"),
    ("left_out", "referrals and balances that gave way to what was here"),
)
_ROLLED_BACK = (
    ("codes_removed", "codes removed"),
    ("codes_clicked", "codes kept as aliases: a link with them was followed"),
    ("codes_attributed", "codes kept as aliases: somebody came by them"),
    ("users_removed", "users removed"),
    ("users_kept", "users kept: they have something here by now"),
    ("edges_removed", "referrals removed"),
    ("points_removed", "balances taken back"),
    ("points_kept", "balances kept: they have changed since"),
)


def _counts(plan: Plan) -> Table:
    table = _bare()
    for name, meaning in _PLANNED:
        table.add_row(str(getattr(plan, name)), meaning)
    table.add_row(str(plan.edges.rows), "referrals to bring in")
    for reason, users in plan.edges_left_out.items():
        table.add_row(str(users), f"  left out: {_REASONS[reason]}")
    table.add_row(str(plan.points.rows), f"balances to bring in, {plan.points_total} points in all")
    return table


_REASONS = {
    "ambiguous": "it could be a code or a user id (say which by --referred-by)",
    "cycle": "two users would have invited each other",
    "self": "it is the user's own",
    "unknown": "nobody is known by it",
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
    """Return every count; of what is listed by position, how many."""
    counts = msgspec.structs.asdict(tally)
    return {name: len(value) if isinstance(value, list) else value for name, value in counts.items()}


def _list(what: str, lines: Sequence[str], total: int | None) -> None:
    if not lines:
        return
    OUT.print(f"{what}:")
    for line in lines[:_LISTED]:
        OUT.print(f"  {line}", markup=False)
    rest = (total if total is not None else len(lines)) - len(lines[:_LISTED])
    if rest > 0:
        OUT.print(f"  and {rest} more")
