"""`tallystick users`: commands of staff about one user."""

from datetime import datetime

import msgspec
import rich_click as click
from rich.table import Table

from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.adapters.identity.keys import KeyRing
from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.application.deletion import Deleted
from tallystick.domain.referrals import AttributionAttempt, AttributionReason
from tallystick.domain.users import UserId, is_user_id
from tallystick.entrypoints.cli.data_directory import with_secrets
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import OUT, confirm, refuse, say_json, say_table
from tallystick.entrypoints.settings import load


@click.group()
def users() -> None:
    """Show or delete one user, or show their referral attempts."""


@users.command()
@click.argument("user")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def show(user: str, as_json: bool) -> None:
    """Show USER: balances, times, and the hash by which the log names them.

    The hash needs the session or JWT secret of the server. After a rotation, a user has one more for each earlier
    secret, the current one first. A user who was never seen has a hash, too:
    such a user has no code and no profile, but may have channels, messages and overlays.

    tallystick users show ada
    """
    user_id = _user_id(user)
    keys = KeyRing(with_secrets(load()).root_secrets).keys("pseudonyms")

    async def read(session: Session) -> _Shown:
        service = await session.as_service()
        found = (await service.reads(lambda stores: stores.user_summaries.of([user_id]))).get(user_id)
        in_logs = [Pseudonyms(key).of(user_id) for key in keys]
        if found is None:
            return _Shown(user_id, in_logs)
        times = found.user.created_at, found.user.deleted_at
        return _Shown(user_id, in_logs, *times, found.credits, found.points, found.referred)

    shown = run(read)
    if as_json:
        say_json(shown)
        return
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("user", shown.user_id)
    table.add_row("in logs", " ".join(shown.in_logs))
    if shown.created_at is None:
        table.add_row("seen", "never")
    else:
        table.add_row("created", shown.created_at.isoformat())
        table.add_row("deleted", shown.deleted_at.isoformat() if shown.deleted_at is not None else "no")
        table.add_row("credits", f"{shown.credits}")
        table.add_row("points", f"{shown.points}")
        table.add_row("referred", "yes" if shown.is_referred else "no")
    say_table(table)


@users.command()
@click.argument("user")
@click.option("--yes", "is_sure", is_flag=True, help="Do not ask; required without a terminal.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def delete(user: str, is_sure: bool, as_json: bool) -> None:
    """Delete USER for good, as the identity provider's webhook does.

    The command erases e-mail address, names, phone, password, stored replies and the texts of the user's rewards, and
    withdraws these rewards. Codes and tokens of the user stop working. It keeps the id, the entries of credits and
    points, rating slips, referrals and taken seats: docs/privacy.md names every column. It ends when the last row is
    erased. A command that was stopped can be run again; for a deleted user it prints the time of the deletion.
    """
    user_id = _user_id(user)

    async def delete_user(session: Session) -> Deleted:
        if not is_sure and not confirm(f"Delete {user} for good from {session.database_name}?"):
            refuse("nothing was deleted")
        return await (await session.as_service()).delete(user_id)

    deleted = run(delete_user)
    if as_json:
        say_json(deleted)
    else:
        OUT.print(f"{deleted.user_id} is deleted since {deleted.deleted_at.isoformat()}", markup=False)


@users.command()
@click.argument("user")
@click.option("--code", help="The code that the user says they used, in any spelling: attempts with it are marked.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def attempts(user: str, code: str | None, as_json: bool) -> None:
    """Show the attempts of USER to sign up with a referral code that failed, and why, newest first.

    Codes are stored as keyed hashes only: --code marks the attempts with that code. It needs the session or JWT secret
    of the server; secrets from before a rotation find older attempts.

    tallystick users attempts ada --code AB12-CD34
    """
    user_id = _user_id(user)
    hashes = frozenset[str]()
    if code is not None:  # without it, no secret is needed
        keys = KeyRing(with_secrets(load()).root_secrets)
        hashes = frozenset(CodeDigests(keys.keys("attempts")).candidates(code))

    async def read(session: Session) -> list[AttributionAttempt]:
        service = await session.as_service()
        return await service.reads(lambda stores: stores.attempts.of(user_id))

    found = run(read)
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


class _Shown(msgspec.Struct, frozen=True):
    user_id: UserId
    in_logs: list[str]
    """The keyed hashes of the user, the current one first."""
    created_at: datetime | None = None
    """None for a user who was never seen."""
    deleted_at: datetime | None = None
    credits: int | None = None
    points: int | None = None
    is_referred: bool | None = None


class _Attempt(msgspec.Struct, frozen=True):
    attempted_at: datetime
    reason: AttributionReason
    is_code: bool | None
    """Whether the attempt used the code of --code; None without --code."""


def _user_id(text: str) -> UserId:
    if not is_user_id(text):
        refuse("USER has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -", ExitStatus.WRONG)
    return UserId(text)
