"""`tallystick users`: what staff do about one user."""

import asyncio

import rich_click as click

from adapters.system import SystemClock, SystemRandomness
from adapters.telemetry.metrics import PrometheusMetrics
from application.deletion import Deleted, DeleteUsers, Deletion
from application.erasures import EraseTraces
from application.group_commit import GroupCommit
from application.reads import run_again
from domain.refusals import OutcomeUnknown, Overloaded
from domain.users import UserId, UserNotFound, is_user_id
from entrypoints.cli.database import database_of, migrated_database, service_transactions
from entrypoints.cli.terminal import NO, OUT, WRONG, confirm, refuse, say_json, settings_or_exit
from entrypoints.settings import Settings


@click.group()
def users() -> None:
    """Do something about one user."""


@users.command()
@click.argument("user")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask; needed where nobody can be asked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def delete(user: str, is_sure: bool, as_json: bool) -> None:
    """Delete USER for good, as the identity provider's webhook does.

    Deleted are e-mail address, names, phone, password, stored replies, and what they wrote about rewards, which are
    taken off the offer. Their codes stop resolving, and their tokens. Kept are the id, the books of credits and points,
    play, who invited whom, and taken seats: docs/privacy.md names every column. The command ends when the last row is
    erased; one that was stopped in between can be run again. Again, it says when it was done.
    """
    settings = settings_or_exit()
    if not is_user_id(user):
        refuse("USER has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -", WRONG)
    if not is_sure and not confirm(f"Delete {user} for good from {database_of(settings)}?"):
        refuse("nothing was deleted", NO)
    with migrated_database(settings, Overloaded, OutcomeUnknown, UserNotFound) as connected:
        deleted = asyncio.run(_delete(connected, UserId(user)))
    if as_json:
        say_json(deleted)
    else:
        OUT.print(f"{deleted.user_id} is deleted since {deleted.deleted_at.isoformat()}", markup=False)


async def _delete(settings: Settings, user_id: UserId) -> Deleted:
    clock, randomness = SystemClock(), SystemRandomness()
    async with service_transactions(settings) as transactions:
        # As the server does it: again where the connection was lost, and never a failure where nobody can tell.
        deleting = GroupCommit(
            DeleteUsers(transactions),
            key=lambda deletion: deletion.user_id,
            clock=clock,
            randomness=randomness,
            metrics=PrometheusMetrics(),
            name="delete_users",
        )
        deleted = await deleting(Deletion(user_id, clock.now()))
        await run_again(lambda: EraseTraces(transactions)(user_id, clock.now()), randomness)
        return deleted
