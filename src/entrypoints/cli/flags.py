"""`tallystick flags`: how flags stand, and switching them."""

import asyncio
import os
import pwd
from collections.abc import Awaitable, Callable, Sequence
from typing import Literal

import rich_click as click
from rich.measure import Measurement
from rich.table import Column, Table

from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.flags import FollowedFlags, SwitchFlags
from tallystick.application.group_commit import GroupCommit
from tallystick.application.idempotency import AnswerOnce, Keyed
from tallystick.application.reads import Reads
from tallystick.application.transactions import Transactions
from tallystick.domain.flags import Flag, FlagState, Pins, Switch, flag_named, state_of
from tallystick.domain.refusals import Failure
from tallystick.entrypoints.cli.database import migrated_database, service_transactions
from tallystick.entrypoints.cli.terminal import OUT, say_json, settings_or_exit
from tallystick.entrypoints.settings import Settings

_Work = Callable[[Transactions, Pins], Awaitable[Sequence[FlagState]]]

_MEANING_WIDTH, _WIDEST = 48, 1000

_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.group(invoke_without_command=True)
@_json
@click.pass_context
def flags(context: click.Context, as_json: bool) -> None:
    """Show every flag: how it stands, whether it is pinned, since when and by whom, and what it does when on.

    A flag that TALLYSTICK_FLAGS names is pinned; servers may have other pins than this terminal.
    """
    if context.invoked_subcommand is None:
        _show(_with_database(_states), as_json=as_json)


@flags.command("set")
@click.argument("name", metavar="NAME", type=click.Choice([flag.value for flag in Flag]))
@click.argument("state", metavar="STATE", type=click.Choice(["on", "off"]))
@_json
@click.pass_context
def set_flag(context: click.Context, name: str, state: Literal["on", "off"], as_json: bool) -> None:
    """Switch the flag NAME to STATE, on or off, for every server on the database: they follow within 5 seconds.

    Who did it is kept: the operating system's user, marked as of the command line. Exits with 1 where the flag is
    pinned or cannot be switched on.
    """
    wanted = Switch(flag_named(name), state == "on", SystemClock().now(), _operator())

    async def switch(transactions: Transactions, pins: Pins) -> Sequence[FlagState]:
        single = GroupCommit(
            SwitchFlags(transactions, FollowedFlags(transactions, pins), AnswerOnce(lambda _outcome, _key: None)),
            key=lambda keyed: keyed.command.flag,
            clock=SystemClock(),
            randomness=SystemRandomness(),
            metrics=PrometheusMetrics(),
            name="switch_flags",
        )
        return [await single(Keyed(wanted))]

    # --json may stand before `set` as well as behind it.
    _show(_with_database(switch), as_json=as_json or (context.parent is not None and context.parent.params["as_json"]))


async def _states(transactions: Transactions, pins: Pins) -> Sequence[FlagState]:
    book = await Reads(transactions, SystemRandomness())(lambda stores: stores.flags.all())
    return [state_of(flag, book.get(flag), pins) for flag in Flag]


def _with_database(work: _Work) -> Sequence[FlagState]:
    settings = settings_or_exit()
    with migrated_database(settings, Failure) as connected:
        return asyncio.run(_on(connected, work))


async def _on(settings: Settings, work: _Work) -> Sequence[FlagState]:
    async with service_transactions(settings) as transactions:
        return await work(transactions, settings.flags)


def _operator() -> str:
    """Return who works here, with a word behind it that no user's id can hold."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        name = str(os.getuid())
    return f"{name} (command line)"


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
    # Nothing but meanings is broken into lines, and nothing is cut short, however narrow the terminal is.
    needed = Measurement.get(OUT, OUT.options.update(max_width=_WIDEST), table).minimum
    table.width = max(OUT.width, needed)
    OUT.print(table)
