"""`tallystick restore`: a backup into a new database, and the proof that it is whole."""

import asyncio
from pathlib import Path

import msgspec
import rich_click as click

from tallystick.adapters.postgres.backups.programs import BackupError
from tallystick.adapters.postgres.backups.restoring import Restore, prepare_restore
from tallystick.adapters.postgres.connecting import Unreachable
from tallystick.entrypoints.cli.check import Row, show_rows
from tallystick.entrypoints.cli.embedded import program_folders, running_database
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.outputs import ending_at_sigterm
from tallystick.entrypoints.cli.progress import shown
from tallystick.entrypoints.cli.restored import verified
from tallystick.entrypoints.cli.session import database_name
from tallystick.entrypoints.cli.terminal import ERR, OUT, confirm, refuse, say_json
from tallystick.entrypoints.settings import load
from tallystick.entrypoints.settings.addresses import read_database_url


class Report(msgspec.Struct, frozen=True):
    """A backup that was restored."""

    file: str
    database: str
    taken_at: str
    created_roles: list[str]
    checks: list[Row] | None
    """The rows of --verify; null without it."""


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--into",
    metavar="URL",
    callback=lambda _context, _option, given: _url(given),
    help="The database, as its owner or as a superuser. Default: DATABASE_DIRECT_URL, or DATABASE_URL, or the embedded "
    "database, in a data directory that the command creates. Put the password into PGPASSWORD.",
)
@click.option("--verify", is_flag=True, help="Then check migrations, schema and promises; exit with 1 where one fails.")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask; required without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def restore(file: Path, into: str | None, verify: bool, is_sure: bool, as_json: bool) -> None:
    """Restore the backup in FILE into a database that has no schema tallystick yet.

    It creates the roles that migrations create, and then restores everything in one transaction: after a failure or an
    interruption the database is as empty as before, and the same command starts again. It never replaces rows. Needs a
    pg_restore of the server's version.

    tallystick restore tallystick.dump --into postgresql://tallystick@db2/tallystick --verify
    """
    settings = load()
    if into is not None:
        settings = msgspec.structs.replace(settings, database_url=into, database_direct_url=into)
    with running_database(settings, may_create=True) as connected:
        prepared = asyncio.run(prepare_restore(connected.direct_url, file, program_folders()))
        archive, name = prepared.archive, database_name(settings)
        if not is_sure and not confirm(f"Restore the backup of {archive.database} of {archive.taken_at} into {name}?"):
            refuse("nothing was changed")
        if not as_json:
            ERR.print(f"restoring the backup of {archive.database} of {archive.taken_at} into {name}", markup=False)
        _restore(prepared)
        rows = asyncio.run(verified(connected)) if verify else None
    if as_json:
        say_json(Report(str(file), name, archive.taken_at, prepared.new_roles, rows))
    else:
        for role in prepared.new_roles:
            ERR.print(f"created the role {role}", markup=False)
        OUT.print(f"restored into {name}", markup=False)
        show_rows(rows or ())
    if rows is not None and any(row.state == "no" for row in rows):
        raise SystemExit(ExitStatus.NO)


def _url(given: str | None) -> str | None:
    try:
        return None if given is None else read_database_url(given)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _restore(prepared: Restore) -> None:
    asyncio.run(prepared.create_roles())
    try:
        with ending_at_sigterm(), shown("restoring", prepared.archive.entries, unit="objects") as show:
            prepared.load(show)
    except BackupError as error:
        raise BackupError(f"{error}; {_outcome(prepared)}") from None
    asyncio.run(prepared.finish())


def _outcome(prepared: Restore) -> str:
    """Return what became of a restore that failed: it is one transaction."""
    try:
        is_restored = asyncio.run(prepared.is_restored())
    except Unreachable:
        return (
            "the database is out of reach: it holds the whole backup or nothing of it. Run the command again once it "
            "is back; where it refuses a database that has the schema, all was restored"
        )
    if is_restored:
        return "all was restored before that: run 'tallystick check' and 'tallystick invariants'"
    return "nothing was restored: the database is as empty as before. Remove the cause, and run the command again"
