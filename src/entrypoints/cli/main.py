"""`tallystick`: everything that can be done from a terminal."""

import rich_click as click

from tallystick.entrypoints.cli.backfill import backfill
from tallystick.entrypoints.cli.check import check
from tallystick.entrypoints.cli.export import export
from tallystick.entrypoints.cli.flags import flags
from tallystick.entrypoints.cli.freeze import freeze, thaw
from tallystick.entrypoints.cli.invariants import invariants
from tallystick.entrypoints.cli.migrate import migrate
from tallystick.entrypoints.cli.probe import probe
from tallystick.entrypoints.cli.reconcile import reconcile
from tallystick.entrypoints.cli.serve import serve
from tallystick.entrypoints.cli.token import token
from tallystick.entrypoints.cli.users import users


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
