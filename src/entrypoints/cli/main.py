"""`tallystick`: the command line."""

from collections.abc import Mapping
from importlib import import_module

import rich_click as click

from tallystick.entrypoints.cli.exit_statuses import MEANINGS
from tallystick.entrypoints.cli.terminal import refuse

COMMANDS: Mapping[str, str] = {
    "serve": "serve",
    "migrate": "migrate",
    "token": "token",
    "check": "check",
    "invariants": "invariants",
    "backfill": "backfill",
    "reconcile": "reconcile",
    "flags": "flags",
    "export": "export",
    "backup": "backup",
    "restore": "restore",
    "users": "users",
    "freeze": "freeze",
    "thaw": "freeze",
    "probe": "probe",
    "runbook": "runbook",
    "openapi": "openapi",
}
"""Each command by the module that holds it; a command imports only what it needs, when it is called."""


class _Commands(click.RichGroup):
    def invoke(self, ctx: click.Context) -> object:
        """Run a command; a failure that is foreseen ends the program with a sentence and its exit status."""
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt) as error:
            from tallystick.entrypoints.cli.session import sentence_of, status_of  # noqa: PLC0415  only failures need it

            status = status_of(error)
            if status is None:
                raise
            refuse(sentence_of(error), status)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  click's signature
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002  as above
        module = COMMANDS.get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(f"tallystick.entrypoints.cli.{module}"), cmd_name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=_Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=True,
    epilog="Exit status: " + "; ".join(f"{status.value}: {meaning}" for status, meaning in MEANINGS.items()) + ".",
)
@click.version_option(package_name="tallystick")
def main() -> None:
    """The self-hosted backend for everything an app hands out and must count exactly once.

    Settings come from the environment: DATABASE_URL and TALLYSTICK_*. Without DATABASE_URL, commands use the embedded
    database in TALLYSTICK_DATA_DIR (./.tallystick).
    """
