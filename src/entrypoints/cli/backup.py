"""`tallystick backup`: the whole schema in one file."""

import asyncio
from pathlib import Path

import msgspec
import rich_click as click

from tallystick.adapters.postgres.backups.dumping import prepare_dump
from tallystick.entrypoints.cli.embedded import program_folders, running_database
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.outputs import opened, target_of
from tallystick.entrypoints.cli.progress import shown
from tallystick.entrypoints.cli.session import database_name
from tallystick.entrypoints.cli.terminal import ERR, OUT, refuse, say_json
from tallystick.entrypoints.settings import load


class Report(msgspec.Struct, frozen=True):
    """A backup that was written."""

    file: str
    size_bytes: int
    database: str
    tables: int
    newest_migration: str
    server_version: str


@click.command()
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace an existing file, once the backup is complete.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def backup(file: Path, force: bool, as_json: bool) -> None:
    """Write the database to FILE by pg_dump, as of one moment, while servers serve.

    FILE appears when it is complete, and can be read by its owner only: it holds all that the service knows. It has no
    secrets of the environment and no passwords of the database; keep those elsewhere. Connects to DATABASE_DIRECT_URL,
    or DATABASE_URL, or the embedded database. Needs a pg_dump of the server's version.

    tallystick backup /backups/tallystick-$(date +%F).dump
    """
    target = target_of(file, is_to_replace=force)
    if target is None:
        refuse(
            "name a file: a backup appears when it is complete, and standard output cannot do that", ExitStatus.WRONG
        )
    settings = load()
    with running_database(settings) as connected:
        dump = asyncio.run(prepare_dump(connected.direct_url, program_folders()))
        name = database_name(settings)
        if not as_json:
            ERR.print(f"backing up {name}, {dump.tables} tables", markup=False)
        with (
            opened(target, is_to_replace=force, is_secret=True) as output,
            shown("backing up", dump.tables, unit="tables") as show,
        ):
            dump.write(output, show)
    size = target.stat().st_size
    if as_json:
        say_json(Report(str(file), size, name, dump.tables, dump.newest_migration, dump.server_version))
    else:
        OUT.print(f"{file}: {size:,} bytes, {dump.tables} tables, migration {dump.newest_migration}", markup=False)
