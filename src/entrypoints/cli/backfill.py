"""`tallystick backfill`: move in with users, codes, referrals and points from elsewhere, and prove it."""

from collections.abc import Callable

import rich_click as click

from tallystick.adapters.legacy.files import FileFormat
from tallystick.adapters.legacy.opening import kind_of, open_source
from tallystick.adapters.legacy.sources import read_mapping
from tallystick.application.backfill_chunks import check_source, find_run, tally_of
from tallystick.application.backfill_planning import DuplicatesUnresolved, NothingReadable
from tallystick.application.backfill_ports import BackfillRefused, MalformedLines
from tallystick.domain.backfill import Options, Phase, ReferredBy, Run, Tally, VerificationReport
from tallystick.domain.legacy import ABSENT_WORDS
from tallystick.domain.legacy_sources import LegacySource
from tallystick.entrypoints.cli.backfill_reports import (
    show_applied,
    show_contests,
    show_nothing_readable,
    show_plan,
    show_rolled_back,
    show_runs,
    show_verification,
)
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.progress import shown
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import ERR, confirm, refuse

_plan = click.option("--plan", "plan_hash", required=True, metavar="HASH", help="The plan's hash, or its beginning.")
_elsewhere = click.option(
    "--source",
    "elsewhere",
    metavar="FILE_OR_DSN",
    help="The present address of the source, if it has moved since the plan.",
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(no_args_is_help=True)
def backfill() -> None:
    """Move in: import users, codes, referrals and points of another system, without breaking a link.

    `plan` says what would happen and stores it under a hash; `apply` does it, and goes on where it was interrupted;
    `verify` proves it against the source; `rollback` takes it back. Exits with 1 where the answer is no, and with 3
    where a missing time leaves open which user had a code first.
    """


@backfill.command()
@click.option(
    "--source",
    required=True,
    metavar="FILE_OR_DSN",
    help="A file of JSON Lines or CSV, or postgresql://... with Supabase's auth.users.",
)
@click.option(
    "--format", "file_format", type=click.Choice(["jsonl", "csv"]), help="The default follows from the file's name."
)
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="COLUMN=NAME",
    help="The name of a column in the file; dots lead into JSON objects, as in code=meta.referral_id. Repeatable.",
)
@click.option(
    "--metadata-field", default="referral_id", show_default=True, help="The field of raw_user_meta_data with the code."
)
@click.option(
    "--referred-by",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "code", "user_id"]),
    help="The content of referred_by.",
)
@click.option(
    "--chunk",
    default=20_000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many users one transaction imports.",
)
@click.option(
    "--null",
    "absent_words",
    multiple=True,
    metavar="WORD",
    help="A word that stands for a missing value. Repeatable; the first one replaces the usual words, "
    f"which are {', '.join(ABSENT_WORDS)}, in any case. With an empty word, no word stands for a missing value.",
)
@_yes
@_json
def plan(
    source: str,
    file_format: FileFormat | None,
    pairs: tuple[str, ...],
    metadata_field: str,
    referred_by: ReferredBy,
    chunk: int,
    absent_words: tuple[str, ...],
    yes: bool,  # noqa: ARG001  planning changes nothing that is served: there is nothing to ask
    as_json: bool,
) -> None:
    """Say what an import would do, and store it as a plan; nothing that is served changes.

    A line needs user_id; code, created_at, email, username, display_name, phone, phone_verified, referred_by (a code
    or a user id), points and deleted_at may be missing. Of several lines of one user the latest code is canonical, the
    others are aliases. Of several users with one code the earliest keeps it, the others get a new one. A new plan
    replaces the plans that were never applied.
    """
    try:
        names = read_mapping(pairs)
    except ValueError as error:
        refuse(f"--map {error}", ExitStatus.WRONG)
    kind = kind_of(source, file_format)
    if kind == "supabase" and (pairs or file_format is not None):
        refuse("--map and --format are for files; the columns of auth.users are known", ExitStatus.WRONG)
    differing = {str(ours): theirs for ours, theirs in names.items() if ours != theirs}
    words = [word for word in absent_words if word.strip()] if absent_words else list(ABSENT_WORDS)
    options = Options(kind, differing, metadata_field, referred_by, chunk, words)
    opened = open_source(source, options)

    async def plan_source(session: Session) -> tuple[Run, MalformedLines]:
        with shown("planning", 1.0) as show:
            planned = await session.plan_backfill(opened, options, show)
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            return planned, await stores.runs.malformed(planned)

    try:
        planned, malformed = run(plan_source)
    except DuplicatesUnresolved as error:
        show_contests(error, as_json=as_json)
        raise SystemExit(ExitStatus.UNDECIDED) from None
    except NothingReadable as error:
        show_nothing_readable(error, as_json=as_json)
        raise SystemExit(ExitStatus.NO) from None
    show_plan(planned, malformed, as_json=as_json)


@backfill.command()
@_plan
@_elsewhere
@click.option("--skip-malformed", is_flag=True, help="Go on without the lines that cannot be read, and list them.")
@click.option(
    "--connections",
    default=2,
    show_default=True,
    type=click.IntRange(1, 8),
    help="How many chunks are written at a time.",
)
@_yes
@_json
def apply(
    plan_hash: str, elsewhere: str | None, skip_malformed: bool, connections: int, yes: bool, as_json: bool
) -> None:
    """Do what was planned, while the service serves. After an interruption, the same command goes on.

    The command is refused if the source has changed, and if lines could not be read, unless you allow to skip them.
    """

    async def apply_plan(session: Session) -> tuple[Run, Tally, MalformedLines]:
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            planned = await find_run(stores.runs, plan_hash)
            skipped = await stores.runs.malformed(planned)
        _ask(yes, f"Move {planned.plan.users} users into {session.database_name}?")
        is_applied = planned.state == "applied"
        if planned.plan.malformed and not skip_malformed and not is_applied:
            first, reason = skipped.first[0]
            raise BackfillRefused(
                f"{planned.plan.malformed} lines cannot be read, the first is line {first} ({reason}); "
                "correct them and plan again, or go on without them by --skip-malformed"
            )
        if not is_applied:
            with shown("reading the source once more", 1.0) as show:
                await check_source(planned, _source_of(planned, elsewhere), show)
        with shown("moving in", len(planned.phases) * planned.plan.users, unit="users") as show:
            await session.apply_backfill(planned, connections=connections, report=_counting(show))
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            return await find_run(stores.runs, planned.plan_hash), await tally_of(stores, planned), skipped

    show_applied(*run(apply_plan), as_json=as_json)


@backfill.command()
@_plan
@_elsewhere
@_yes
@_json
def verify(plan_hash: str, elsewhere: str | None, yes: bool, as_json: bool) -> None:  # noqa: ARG001  it changes nothing
    """Prove an applied plan: follow every code of the source to its user, and count every promise.

    The report is kept with the run. Exits with 1 where a promise is broken.
    """

    async def verify_plan(session: Session) -> VerificationReport:
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            applied = await find_run(stores.runs, plan_hash)
        with shown("verifying", 1.0) as show:
            return await session.verify_backfill(applied, _source_of(applied, elsewhere), show)

    report = run(verify_plan)
    show_verification(report, as_json=as_json)
    if not report.holds:
        raise SystemExit(ExitStatus.NO)


@backfill.command()
@_plan
@_yes
@_json
def rollback(plan_hash: str, yes: bool, as_json: bool) -> None:
    """Roll a run back, as the owner of the schema: rows that it wrote go, rows that were used since stay.

    Codes stay as aliases if a link with them was followed or a referral names them. Users stay if they have other rows,
    and points stay if the balance has changed. The same source can be planned again.
    """

    async def roll_back(session: Session) -> tuple[Run, Tally]:
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            applied = await find_run(stores.runs, plan_hash)
        users, short_hash = applied.plan.users, applied.plan_hash[:12]
        _ask(yes, f"Take the {users} users of plan {short_hash} out of {session.database_name}?")
        with shown("rolling back", 2 * users, unit="users") as show:
            await session.roll_back_backfill(applied, report=_counting(show))
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            return await find_run(stores.runs, applied.plan_hash), await tally_of(stores, applied, ["rollback"])

    show_rolled_back(*run(roll_back), as_json=as_json)


@backfill.command()
@click.option("--plan", "plan_hash", metavar="HASH", help="Only the run of this plan.")
@_yes
@_json
def status(plan_hash: str | None, yes: bool, as_json: bool) -> None:  # noqa: ARG001  it changes nothing
    """List the plans and the state of each."""

    async def read(session: Session) -> list[tuple[Run, Tally, Tally]]:
        async with session.backfills.session() as backfills, backfills.reading() as stores:
            runs = [await find_run(stores.runs, plan_hash)] if plan_hash is not None else await stores.runs.all()
            return [(each, await tally_of(stores, each), await tally_of(stores, each, ["rollback"])) for each in runs]

    show_runs(run(read), as_json=as_json)


def _source_of(planned: Run, elsewhere: str | None) -> LegacySource:
    return open_source(elsewhere or planned.plan.source, planned.plan.options)


def _counting(show: Callable[[float], None]) -> Callable[[Phase, int, Tally], None]:
    done = 0

    def report(_phase: Phase, users: int, _tally: Tally) -> None:
        nonlocal done
        done += users
        show(done)

    return report


def _ask(is_sure: bool, question: str) -> None:
    if not is_sure and not confirm(question):
        ERR.print("nothing was changed")
        raise SystemExit(ExitStatus.NO)
