"""`tallystick reconcile`: find and repair rows that an import left inconsistent."""

import msgspec
import rich_click as click
from rich.progress import track
from rich.table import Table

from tallystick.adapters.postgres.reconciliation import WrongInvite
from tallystick.application.reconciliation import MetadataDrift
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.session import Session, run
from tallystick.entrypoints.cli.terminal import ERR, OUT, refuse, say_json


@click.group()
def reconcile() -> None:
    """Find rows that an import left inconsistent, and repair them with --apply."""


@reconcile.command()
@click.option("--apply", "is_to_apply", is_flag=True, help="Repair the differences; without it nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def invites(is_to_apply: bool, as_json: bool) -> None:
    """Compare every invite's counter with its uses, and find users who used one twice.

    With --apply, each invite is repaired under its row lock: the earliest of repeated uses stays, the counter becomes
    the number of uses, and an oversold invite gets as many seats as were used. The key that forbids repeated uses is
    created again if an import dropped it. Exits with 1 where something is wrong and was not repaired.
    """
    wrong, has_key = run(lambda session: _reconcile(session, is_to_apply=is_to_apply))
    is_wrong = bool(wrong) or not has_key
    if as_json:
        say_json({"repaired": is_to_apply and is_wrong, "has_key": has_key or is_to_apply, "items": wrong})
    else:
        _show(wrong, has_key=has_key, is_repaired=is_to_apply)
    if is_wrong and not is_to_apply:
        raise SystemExit(ExitStatus.NO)


@reconcile.command()
@click.option("--apply", "is_to_apply", is_flag=True, help="Repair the differences; without it nothing is changed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document.")
def metadata(is_to_apply: bool, as_json: bool) -> None:
    """Compare the code book with the legacy metadata of applied runs, and with what is mirrored to it.

    With --apply, the code book adopts imported codes that it lacks, and mirrored codes become the present canonical
    codes; a page is one transaction. Exits with 1 where something differs and was not repaired, or a page failed.
    """
    drift = run(lambda session: _reconcile_metadata(session, is_to_apply=is_to_apply))
    if as_json:
        say_json({"repaired": is_to_apply and drift.total > 0, **msgspec.structs.asdict(drift)})
    else:
        _show_drift(drift, is_repaired=is_to_apply)
    if drift.failed:
        refuse(f"{drift.failed} users could not be compared, because the database failed; run the command again")
    if drift.total and not is_to_apply:
        raise SystemExit(ExitStatus.NO)


async def _reconcile_metadata(session: Session, *, is_to_apply: bool) -> MetadataDrift:
    found, service = MetadataDrift(), await session.as_service()
    async for drift in service.reconcile_metadata.pages(is_to_repair=is_to_apply):
        found = found.plus(drift)
    return found


def _show_drift(drift: MetadataDrift, *, is_repaired: bool) -> None:
    table = Table("what differs", "how many", box=None)
    table.add_row("imported codes that the code book lacks", str(drift.unadopted))
    table.add_row("mirrored codes that are no longer canonical", str(drift.stale))
    table.add_row("canonical codes that are not mirrored", str(drift.missing))
    table.add_row("mirrored codes of deleted users", str(drift.orphaned))
    if not drift.total and not drift.failed:
        OUT.print("code book and legacy metadata agree")
        return
    OUT.print(table)
    OUT.print(f"repaired: {drift.total}" if is_repaired else "run it again with --apply to repair this")


async def _reconcile(session: Session, *, is_to_apply: bool) -> tuple[list[WrongInvite], bool]:
    operator = session.operator()
    async with session.invite_reconciliation.session() as invites:
        wrong, has_key = list(await invites.wrong()), await invites.has_key()
        if is_to_apply:
            shown = track(wrong, "repairing", console=ERR, disable=not ERR.is_terminal, transient=True)
            for invite in shown:
                await invites.repair(invite, operator)
            if not has_key:
                await invites.restore_key()
    return wrong, has_key


def _show(wrong: list[WrongInvite], *, has_key: bool, is_repaired: bool) -> None:
    if wrong:
        table = Table("invite", "seats", "counted", "users", "repeated uses", box=None)
        for invite in wrong:
            repeated = invite.rows - invite.users
            table.add_row(
                invite.invite_id, str(invite.max_uses), str(invite.current_uses), str(invite.users), str(repeated)
            )
        OUT.print(table)
    if not has_key:
        OUT.print("the key invite_uses_pkey is missing: repeated uses could be stored")
    if not wrong and has_key:
        OUT.print("every invite is consistent")
    elif is_repaired:
        OUT.print(f"repaired: {len(wrong)}")
    else:
        OUT.print("run it again with --apply to repair this")
