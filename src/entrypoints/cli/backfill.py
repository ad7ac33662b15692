"""`tallystick backfill`: move in with users, codes, referrals and points from elsewhere, and prove it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import TypeVar

import asyncpg
import rich_click as click

from tallystick.adapters.legacy.files import FileFormat
from tallystick.adapters.legacy.opening import kind_of, open_source
from tallystick.adapters.legacy.sources import read_mapping
from tallystick.adapters.postgres.backfill.sessions import PostgresBackfillDatabase
from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.application.backfill import ApplyBackfill
from tallystick.application.backfill_chunks import check_source, find_run, tally_of
from tallystick.application.backfill_planning import DuplicatesUnresolved, NothingReadable, PlanBackfill
from tallystick.application.backfill_ports import BackfillRefused, MalformedLines
from tallystick.application.backfill_rollback import RollBackBackfill
from tallystick.application.backfill_verification import VerifyBackfill
from tallystick.application.transactions import TransactionAborted
from tallystick.domain.backfill import Options, Phase, ReferredBy, Run, Tally, VerificationReport
from tallystick.domain.codes import Code, CodesExhausted, draw_candidates
from tallystick.domain.legacy import ABSENT_WORDS
from tallystick.domain.legacy_sources import LegacySource, SourceError
from tallystick.entrypoints.cli.backfill_reports import (
    show_applied,
    show_contests,
    show_nothing_readable,
    show_plan,
    show_rolled_back,
    show_runs,
    show_verification,
)
from tallystick.entrypoints.cli.database import database_of, migrated_database
from tallystick.entrypoints.cli.progress import shown
from tallystick.entrypoints.cli.terminal import ERR, INTERRUPTED, NO, WRONG, confirm, refuse, settings_or_exit
from tallystick.entrypoints.settings import Settings

T = TypeVar("T")

UNRESOLVED = 3
"""Duplicates cannot be resolved by the rule."""
_ERRORS = (BackfillRefused, SourceError, CodesExhausted, TransactionAborted, asyncpg.InterfaceError)

_plan = click.option("--plan", "plan_hash", required=True, metavar="HASH", help="The plan's hash, or its beginning.")
_elsewhere = click.option(
    "--source", "elsewhere", metavar="FILE_OR_DSN", help="Where the source is by now, if not where it was planned from."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
_yes = click.option("--yes", is_flag=True, help="Do not ask.")


@click.group(no_args_is_help=True)
def backfill() -> None:
    """Move in: bring along users, codes, referrals and points from elsewhere, without breaking one link.

    `plan` says what would happen and stores it under a hash; `apply` does it, and goes on where it was killed; `verify`
    proves it against the source; `rollback` takes it back. Exits with 1 where the answer is no, and with 3 where nobody
    can tell whose a code is.
    """


@backfill.command()
@click.option(
    "--source",
    required=True,
    metavar="FILE_OR_DSN",
    help="A file of JSON Lines or CSV, or postgresql://... with Supabase's auth.users.",
)
@click.option("--format", "file_format", type=click.Choice(["jsonl", "csv"]), help="By default by the file's name.")
@click.option(
    "--map",
    "pairs",
    multiple=True,
    metavar="COLUMN=NAME",
    help="What a column is called in the file; inside JSON objects by dots, as code=meta.referral_id. Repeatable.",
)
@click.option(
    "--metadata-field", default="referral_id", show_default=True, help="The field of raw_user_meta_data with the code."
)
@click.option(
    "--referred-by",
    default="auto",
    show_default=True,
    type=click.Choice(["auto", "code", "user_id"]),
    help="What referred_by holds.",
)
@click.option(
    "--chunk",
    default=20_000,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="How many users one transaction brings in.",
)
@click.option(
    "--null",
    "absent_words",
    multiple=True,
    metavar="WORD",
    help="A word that stands for a missing value. Repeatable; the first one replaces the usual words, "
    f"which are {', '.join(ABSENT_WORDS)}, without regard to case. An empty word: there is none.",
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
    """Say what moving in would do, and store it as a plan; nothing that is served changes.

    A line needs user_id; code, created_at, email, username, display_name, phone, phone_verified, referred_by (a code
    or a user id), points and deleted_at may be missing. Of several lines of one user the latest code is canonical, the
    others are aliases. Of several users with one code the earliest keeps it, the others get a new one. A new plan takes
    the place of those that were never applied.
    """
    try:
        names = read_mapping(pairs)
    except ValueError as error:
        refuse(f"--map {error}", WRONG)
    kind = kind_of(source, file_format)
    if kind == "supabase" and (pairs or file_format is not None):
        refuse("--map and --format are for files; of auth.users the columns are known", WRONG)
    differing = {str(ours): theirs for ours, theirs in names.items() if ours != theirs}
    words = [word for word in absent_words if word.strip()] if absent_words else list(ABSENT_WORDS)
    options = Options(kind, differing, metadata_field, referred_by, chunk, words)
    opened = open_source(source, options)

    async def work(settings: Settings) -> tuple[Run, MalformedLines]:
        database = PostgresBackfillDatabase(settings.direct_url)
        with shown("planning", 1.0) as show:
            run = await PlanBackfill(database, SystemClock())(opened, options, show)
        async with database.session() as session, session.reading() as stores:
            return run, await stores.runs.malformed(run)

    try:
        run, malformed = _run(work)
    except DuplicatesUnresolved as error:
        show_contests(error, as_json=as_json)
        raise SystemExit(UNRESOLVED) from None
    except NothingReadable as error:
        show_nothing_readable(error, as_json=as_json)
        raise SystemExit(NO) from None
    show_plan(run, malformed, as_json=as_json)


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
    """Do what was planned, while the service serves. Killed anywhere, it goes on when it is run again.

    Refused where the source has changed since, and where lines could not be read, unless they may be skipped.
    """

    async def work(settings: Settings) -> tuple[Run, Tally, MalformedLines]:
        database = PostgresBackfillDatabase(settings.direct_url)
        async with database.session() as session, session.reading() as stores:
            run = await find_run(stores.runs, plan_hash)
            skipped = await stores.runs.malformed(run)
        _ask(yes, f"Move {run.plan.users} users into {database_of(settings)}?")
        if run.plan.malformed and not skip_malformed and run.state != "applied":
            first, reason = skipped.first[0]
            raise BackfillRefused(
                f"{run.plan.malformed} lines cannot be read, the first is line {first} ({reason}); "
                "mend them and plan again, or go on without them by --skip-malformed"
            )
        if run.state != "applied":
            with shown("reading the source once more", 1.0) as show:
                await check_source(run, _source_of(run, elsewhere), show)
        apply_backfill = ApplyBackfill(database, SystemClock(), _draw, settings.tiers, settings.referral_rules)
        with shown("moving in", len(run.phases) * run.plan.users, unit="users") as show:
            await apply_backfill(run, connections=connections, report=_counting(show))
        async with database.session() as session, session.reading() as stores:
            return await find_run(stores.runs, run.plan_hash), await tally_of(stores, run), skipped

    show_applied(*_run(work), as_json=as_json)


@backfill.command()
@_plan
@_elsewhere
@_yes
@_json
def verify(plan_hash: str, elsewhere: str | None, yes: bool, as_json: bool) -> None:  # noqa: ARG001  it changes nothing
    """Prove an applied plan: follow every code of the source to its user, and count every promise.

    The report is kept with the run. Exits with 1 where a promise is broken.
    """

    async def work(settings: Settings) -> VerificationReport:
        database = PostgresBackfillDatabase(settings.direct_url)
        async with database.session() as session, session.reading() as stores:
            run = await find_run(stores.runs, plan_hash)
        with shown("verifying", 1.0) as show:
            return await VerifyBackfill(database, SystemClock())(run, _source_of(run, elsewhere), show)

    report = _run(work)
    show_verification(report, as_json=as_json)
    if not report.holds:
        raise SystemExit(NO)


@backfill.command()
@_plan
@_yes
@_json
def rollback(plan_hash: str, yes: bool, as_json: bool) -> None:
    """Take a run back, as the owner of the schema: what it wrote goes, what was used since stays.

    Codes that somebody followed or came by stay as aliases; users who did anything here stay; points that were spent or
    added to stay. What was taken back can be planned again.
    """

    async def work(settings: Settings) -> tuple[Run, Tally]:
        database = PostgresBackfillDatabase(settings.direct_url)
        async with database.session() as session, session.reading() as stores:
            run = await find_run(stores.runs, plan_hash)
        _ask(
            yes,
            f"Take the {run.plan.users} users of plan {run.plan_hash[:12]} out of {database_of(settings)}?",
        )
        with shown("rolling back", 2 * run.plan.users, unit="users") as show:
            await RollBackBackfill(database, SystemClock(), _draw)(run, report=_counting(show))
        async with database.session() as session, session.reading() as stores:
            return await find_run(stores.runs, run.plan_hash), await tally_of(stores, run, ["rollback"])

    show_rolled_back(*_run(work), as_json=as_json)


@backfill.command()
@click.option("--plan", "plan_hash", metavar="HASH", help="Only the run of this plan.")
@_yes
@_json
def status(plan_hash: str | None, yes: bool, as_json: bool) -> None:  # noqa: ARG001  it changes nothing
    """List the plans, and how far each has come."""

    async def work(settings: Settings) -> list[tuple[Run, Tally, Tally]]:
        database = PostgresBackfillDatabase(settings.direct_url)
        async with database.session() as session, session.reading() as stores:
            runs = [await find_run(stores.runs, plan_hash)] if plan_hash is not None else await stores.runs.all()
            return [(run, await tally_of(stores, run), await tally_of(stores, run, ["rollback"])) for run in runs]

    show_runs(_run(work), as_json=as_json)


def _run(work: Callable[[Settings], Coroutine[None, None, T]]) -> T:
    """Do it on the database of the settings; foreseen errors end the program with a sentence."""
    settings = settings_or_exit()
    try:
        with migrated_database(settings, *_ERRORS) as connected:
            return asyncio.run(work(connected))
    except KeyboardInterrupt:
        refuse("stopped; what is done stays done, and the same command goes on from there", INTERRUPTED)


def _source_of(run: Run, elsewhere: str | None) -> LegacySource:
    return open_source(elsewhere or run.plan.source, run.plan.options)


def _draw() -> tuple[Code, ...]:
    return draw_candidates(_RANDOMNESS.bytes)


_RANDOMNESS = SystemRandomness()


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
        raise SystemExit(NO)
