"""`tallystick freeze` and `tallystick thaw`: freeze a user's accounts, and unfreeze them."""

from collections.abc import Awaitable, Callable, Sequence

import rich_click as click
from rich.table import Table

from tallystick.domain.ledger import Account, Unit
from tallystick.domain.users import UserId, is_user_id
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import OUT, refuse, say_json

_Change = Callable[[Session], Awaitable[list[Account]]]

UNITS: tuple[Unit, ...] = ("credits", "points")

_unit = click.option(
    "--unit", "unit", type=click.Choice(UNITS), help="Which account; without it, both of the user's accounts."
)
_json = click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")


@click.command()
@click.argument("user")
@_unit
@_json
def freeze(user: str, unit: Unit | None, as_json: bool) -> None:
    """Freeze the accounts of USER: nothing is credited to them or debited from them any more.

    Points that slips and referrals earn meanwhile wait as pending accruals. Connects as the owner of the schema.
    """
    _change(user, as_json, lambda session: session.freezing.freeze(UserId(user), _chosen(unit), session.clock.now()))


@click.command()
@click.argument("user")
@_unit
@_json
def thaw(user: str, unit: Unit | None, as_json: bool) -> None:
    """Unfreeze the accounts of USER; the next sweep, or a recovery, credits what waits."""
    _change(user, as_json, lambda session: session.freezing.thaw(UserId(user), _chosen(unit)))


def _chosen(unit: Unit | None) -> Sequence[Unit]:
    return UNITS if unit is None else (unit,)


def _change(user: str, as_json: bool, change: _Change) -> None:
    if not is_user_id(user):
        refuse("USER has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -", ExitStatus.WRONG)
    accounts = run(change)
    if not accounts:
        refuse(f"there is no user {user}: nothing was changed")
    if as_json:
        say_json({"items": accounts})
        return
    table = Table("user", "unit", "balance", "frozen since", box=None)
    for account in accounts:
        since = account.frozen_at.isoformat() if account.frozen_at is not None else ""
        table.add_row(account.user_id, account.unit, str(account.balance), since)
    OUT.print(table)
