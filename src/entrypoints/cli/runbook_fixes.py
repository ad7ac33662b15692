"""The fixes of the runbooks that a command can do: each returns what it changed, and leaves audit rows."""

from tallystick.adapters.postgres.operator_actions import Change
from tallystick.application.reconciliation import MetadataDrift
from tallystick.domain.ledger import EventKey
from tallystick.domain.pending_accruals import NOT_STUCK
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId
from tallystick.entrypoints.cli.runbook_diagnoses import (
    CODE_PATIENCE,
    ERASURE_PATIENCE,
    NEVER_NEGATIVE,
    ONE_CODE,
    ONE_USE,
)
from tallystick.entrypoints.cli.session import Session

_PAGE_ROWS = 1000


async def mint(session: Session) -> list[Change]:
    """Give users without a code their code."""
    service = await session.as_service()
    rows = await session.diagnoses.without_code(session.clock.now() - CODE_PATIENCE, _PAGE_ROWS)
    changes = [Change(row["user_id"], "no code", "minted") for row in rows]
    await service.mint([UserId(row["user_id"]) for row in rows])
    return await _recorded(session, "missing-codes", changes)


async def end_blockers(session: Session) -> list[Change]:
    """End the sessions that hold others up."""
    pids = [row["pid"] for row in await session.diagnoses.blockers()]
    return await session.diagnoses.terminate(pids, session.operator())


async def reconcile(session: Session) -> list[Change]:
    """Reconcile the code book with the legacy metadata."""
    found, service = MetadataDrift(), await session.as_service()
    async for page in service.reconcile_metadata.pages(is_to_repair=True):
        found = found.plus(page)
    return await _recorded(session, "drift", [Change("metadata", f"{found.total} differences", "reconciled")])


async def finish_erasures(session: Session) -> list[Change]:
    """Erase the rows of deleted users to the end."""
    service = await session.as_service()
    rows = await session.diagnoses.stuck_erasures(session.clock.now() - ERASURE_PATIENCE, _PAGE_ROWS)
    for row in rows:
        await service.delete(UserId(row["user_id"]))
    return await _recorded(session, "deletion", [Change(row["user_id"], "being erased", "erased") for row in rows])


async def repair_codes(session: Session) -> list[Change]:
    """Leave each user one canonical code, and bring the index back that forbids a second one."""
    operator = session.operator()
    changes = await session.repairs.repair("one_code_each", operator)
    return [*changes, *await session.diagnoses.restore("runbook double-mint", operator, only=[ONE_CODE])]


async def repair_invites(session: Session) -> list[Change]:
    """Recount the uses of invites, and bring the key back that forbids repeated uses."""
    operator = session.operator()
    changes = await session.repairs.repair("seats_are_uses", operator)
    return [*changes, *await session.diagnoses.restore("runbook duplicate-uses", operator, only=[ONE_USE])]


async def repair_balances(session: Session) -> list[Change]:
    """Set accounts to their entries, and bring the constraints back that forbid negative balances."""
    operator = session.operator()
    return [
        *await session.repairs.repair("balances_are_entries", operator),
        *await session.repairs.repair("lifetime_is_earned", operator),
        *await session.diagnoses.restore("runbook negative-balance", operator, only=NEVER_NEGATIVE),
    ]


async def recover_points(session: Session) -> list[Change]:
    """Credit points that wait."""
    service = await session.as_service()
    rows = await session.diagnoses.waiting_points(sorted(NOT_STUCK), _PAGE_ROWS)
    changes = list[Change]()
    for row in rows[:_PAGE_ROWS]:
        event = EventKey(UserId(row["player_id"]), "points", row["event_type"], row["event_key"])
        outcome = await service.recover(event)
        if not isinstance(outcome, Failure):
            changes.append(Change(" ".join(event), row["cause"], "credited"))
    return await _recorded(session, "partial-completion", changes)


async def restore_contract(session: Session) -> list[Change]:
    """Bring the schema to its manifest: what is missing, what was changed, and rights that are too much."""
    return await session.diagnoses.restore("runbook contract-missing", session.operator())


async def _recorded(session: Session, name: str, changes: list[Change]) -> list[Change]:
    await session.diagnoses.record(f"runbook {name}", changes, session.operator())
    return changes
