"""`tallystick flags`: show the state of flags, and switch them."""

from collections.abc import Sequence
from typing import Literal

import rich_click as click
from rich.measure import Measurement
from rich.table import Column, Table

from tallystick.domain.flags import Flag, FlagState, Switch, flag_named, state_of
from tallystick.entrypoints.cli.operator import operator_name
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import OUT, say_json

_MEANING_WIDTH, _WIDEST = 48, 1000

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(invoke_without_command=True)
@_json
@click.pass_context
def flags(context: click.Context, as_json: bool) -> None:
    """Show every flag: its state, whether it is pinned, since when and by whom, and what it does when on.

    A flag that TALLYSTICK_FLAGS names is pinned; servers may have other pins than this terminal.
    """
    if context.invoked_subcommand is None:
        _show(run(_states), as_json=as_json)


@flags.command("set")
@click.argument("name", metavar="NAME", type=click.Choice([flag.value for flag in Flag]))
@click.argument("state", metavar="STATE", type=click.Choice(["on", "off"]))
@_json
@click.pass_context
def set_flag(context: click.Context, name: str, state: Literal["on", "off"], as_json: bool) -> None:
    """Switch the flag NAME to STATE, on or off, for every server on the database: they follow within 5 seconds.

    The operating system's user is stored with the switch, marked as of the command line. Exits with 1 if the flag is
    pinned or cannot be switched on.
    """

    async def switch(session: Session) -> Sequence[FlagState]:
        wanted = Switch(flag_named(name), state == "on", session.clock.now(), operator_name())
        return [await (await session.as_service()).switch(wanted)]

    # --json may stand before `set` as well as behind it.
    _show(run(switch), as_json=as_json or (context.parent is not None and context.parent.params["as_json"]))


async def _states(session: Session) -> Sequence[FlagState]:
    service = await session.as_service()
    book = await service.reads(lambda stores: stores.flags.all())
    return [state_of(flag, book.get(flag), service.pins) for flag in Flag]


def _show(states: Sequence[FlagState], *, as_json: bool) -> None:
    if as_json:
        say_json({"items": states})
        return
    table = Table(*(Column(name, no_wrap=True) for name in ("flag", "state", "pinned", "since", "by")), box=None)
    table.add_column("when on", min_width=_MEANING_WIDTH)
    for each in states:
        since = each.updated_at.isoformat(timespec="seconds") if each.updated_at is not None else ""
        table.add_row(
            each.name,
            "[green]on[/]" if each.enabled else "off",
            "pinned" if each.pinned else "",
            since,
            each.updated_by or "",
            each.name.meaning,
        )
    # Only the column of meanings wraps, and no text is cut short, however narrow the terminal is.
    needed = Measurement.get(OUT, OUT.options.update(max_width=_WIDEST), table).minimum
    table.width = max(OUT.width, needed)
    OUT.print(table)
