"""`tallystick`: everything that can be done from a terminal."""

import rich_click as click

from entrypoints.cli.backfill import backfill
from entrypoints.cli.check import check
from entrypoints.cli.export import export
from entrypoints.cli.flags import flags
from entrypoints.cli.freeze import freeze, thaw
from entrypoints.cli.invariants import invariants
from entrypoints.cli.migrate import migrate
from entrypoints.cli.probe import probe
from entrypoints.cli.reconcile import reconcile
from entrypoints.cli.serve import serve
from entrypoints.cli.token import token
from entrypoints.cli.users import users


@click.group(context_settings={"help_option_names": ["-h", "--help"]}, no_args_is_help=True)
@click.version_option(package_name="tallystick")
def main() -> None:
    """The self-hosted backend for everything an app hands out and must count exactly once.

    Settings come from the environment: DATABASE_URL and TALLYSTICK_*. Without DATABASE_URL, commands use the embedded
    database in TALLYSTICK_DATA_DIR (./.tallystick).

    Exit status: 0 done, 1 the answer is no, 2 the command or a setting is wrong.
    """


for command in (
    serve,
    migrate,
    token,
    check,
    invariants,
    backfill,
    reconcile,
    flags,
    export,
    users,
    freeze,
    thaw,
    probe,
):
    main.add_command(command)
