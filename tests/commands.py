"""Every command of `tallystick`, by the words that call it."""

from collections.abc import Iterator

import rich_click as click

from tallystick.entrypoints.cli.main import main


def commands_of(group: click.Group, before: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Yield the commands of a group and of the groups in it, and a group that does something by itself."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        words = (*before, name)
        if isinstance(command, click.Group):
            yield from commands_of(command, words)
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield " ".join(words), command


EVERY = dict(commands_of(main))
