"""`tallystick users`: what staff do about one user."""

import asyncio
from datetime import datetime

import msgspec
import rich_click as click
from rich.table import Table

from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.adapters.identity.keys import KeyRing
from tallystick.adapters.system import SystemClock, SystemRandomness
from tallystick.adapters.telemetry.metrics import PrometheusMetrics
from tallystick.application.deletion import Deleted, DeleteUsers, Deletion
from tallystick.application.erasures import EraseTraces
from tallystick.application.group_commit import GroupCommit
from tallystick.application.reads import Reads, run_with_retries
from tallystick.domain.referrals import AttributionAttempt, AttributionReason
from tallystick.domain.refusals import OutcomeUnknown, Overloaded
from tallystick.domain.users import UserId, UserNotFound, is_user_id
from tallystick.entrypoints.cli.data_directory import with_secrets
from tallystick.entrypoints.cli.database import database_of, migrated_database, service_transactions
from tallystick.entrypoints.cli.terminal import NO, OUT, WRONG, confirm, refuse, say_json, settings_or_exit
from tallystick.entrypoints.settings import Settings, SettingsError


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


@users.command()
@click.argument("user")
@click.option("--code", help="The code that the user names, however it is typed: marks the attempts with it.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def attempts(user: str, code: str | None, as_json: bool) -> None:
    """Show the referral codes that USER came with and that attributed nothing, and why, newest first.

    Codes are kept as keyed hashes only: with --code you see which attempts were made with that code. It needs the
    session or JWT secret of the server; those from before a rotation find older attempts.

    tallystick users attempts ada --code AB12-CD34
    """
    settings = settings_or_exit()
    if not is_user_id(user):
        refuse("USER has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -", WRONG)
    with migrated_database(settings) as connected:
        found = asyncio.run(_attempts(connected, UserId(user)))
        hashes = _digests_of(settings, code) if code is not None else frozenset[str]()
    items = [_Attempt(each.attempted_at, each.reason, each.code_digest in hashes if hashes else None) for each in found]
    if as_json:
        say_json({"items": items})
        return
    if not items:
        OUT.print(
            f"no attempt of {user} is stored: the user sent no code, or every code that came was recorded, "
            "or the user was deleted or never seen",
            markup=False,
        )
        return
    table = Table("sent last", "reason", "this code", box=None)
    for item in items:
        table.add_row(item.attempted_at.isoformat(), item.reason, {True: "yes", False: "no", None: ""}[item.is_code])
    OUT.print(table)


class _Attempt(msgspec.Struct, frozen=True):
    attempted_at: datetime
    reason: AttributionReason
    is_code: bool | None
    """Whether it was made with the code that is asked about; None where no code is."""


def _digests_of(settings: Settings, code: str) -> frozenset[str]:
    try:
        keys = KeyRing(with_secrets(settings).root_secrets)
    except SettingsError as error:
        refuse(str(error), WRONG)
    return frozenset(CodeDigests(keys.keys("attempts")).candidates(code))


async def _attempts(settings: Settings, user_id: UserId) -> list[AttributionAttempt]:
    async with service_transactions(settings) as transactions:
        reads = Reads(transactions, SystemRandomness())
        return await reads(lambda stores: stores.attempts.of(user_id))


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
        await run_with_retries(lambda: EraseTraces(transactions)(user_id, clock.now()), randomness)
        return deleted
