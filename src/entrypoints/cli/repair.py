"""`tallystick invariants --repair`: what breaks one promise is shown, repaired after a question, and counted."""

import msgspec

from tallystick.application.invariants import LARGEST_LIST
from tallystick.application.repairs import REPAIRS, UNREPAIRED
from tallystick.entrypoints.cli.exit_statuses import ExitStatus
from tallystick.entrypoints.cli.session import Session
from tallystick.entrypoints.cli.terminal import ERR, OUT, confirm, refuse, say_json

PATIENCE_SECONDS = 3600.0


class Repaired(msgspec.Struct, frozen=True):
    """The result of a repair."""

    name: str
    database: str
    broken: int
    """How many rows broke the promise."""
    changed: int
    left: int
    """How many rows still break it."""


async def repair(session: Session, name: str, *, is_sure: bool, as_json: bool) -> None:
    """Repair one promise; ends the program with 1 where rows are left, or where only a person can decide."""
    service = await session.as_service(statement_seconds=PATIENCE_SECONDS)

    async def violations() -> int:
        counted = await service.slow_reads(lambda stores: stores.invariants.count())
        return next(each.violations for each in counted if each.name == name)

    broken = await violations()
    rows = await service.slow_reads(lambda stores: stores.invariants.broken_rows(name, limit=LARGEST_LIST))
    if broken and name in UNREPAIRED:
        refuse(f"{name}: {', '.join(rows)}: no command repairs this promise: {UNREPAIRED[name]}")
    if broken and not is_sure:
        rest = f" and {broken - len(rows)} more" if broken > len(rows) else ""
        ERR.print(f"{name}: {', '.join(rows)}{rest}\n{REPAIRS[name]}", markup=False)
        if not confirm(f"Repair {broken} rows in {session.database_name}?"):
            refuse("nothing was repaired")
    changes = await session.repairs.repair(name, session.operator()) if broken else []
    if not broken:
        await session.repairs.forget(name, session.operator())
    left = await violations() if broken else 0
    if as_json:
        say_json(Repaired(name, session.database_name, broken, len(changes), left))
    elif not broken:
        OUT.print(f"nothing breaks {name} in {session.database_name}", markup=False)
    else:
        for change in changes[:LARGEST_LIST]:
            OUT.print(f"{change.subject}: {change.found} -> {change.done}", markup=False)
        OUT.print(f"changed in {session.database_name}: {len(changes)}; still broken: {left}", markup=False)
    if left:
        refuse(f"{left} rows still break {name}: their history is broken; restore it from a backup", ExitStatus.NO)
