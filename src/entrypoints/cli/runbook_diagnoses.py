"""The diagnoses of the runbooks: each returns one sentence for each finding, and none where all is well."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

import asyncpg

from tallystick.application.invariants import LARGEST_LIST
from tallystick.application.reconciliation import MetadataDrift
from tallystick.application.schedules import MAX_LEAD
from tallystick.application.transactions import StoreFailure
from tallystick.domain.codes import Code
from tallystick.domain.pending_accruals import NOT_STUCK
from tallystick.domain.refusals import Failure
from tallystick.entrypoints.cli.check import faults_of_the_database
from tallystick.entrypoints.cli.session import Session
from tallystick.entrypoints.settings import variable

CODE_PATIENCE = timedelta(seconds=10)
ERASURE_PATIENCE = timedelta(minutes=5)
GUESSES = 10
"""How many unknown codes of one user in an hour are a finding; the last 20 attempts of each user are stored."""
ONE_CODE = ("referral_codes", "index referral_codes_one_canonical")
"""A table, and what the manifest lists of it."""
ONE_USE = ("invite_uses", "constraint invite_uses_pkey")
NEVER_NEGATIVE = (
    ("ledger_accounts", "constraint ledger_accounts_never_negative"),
    ("ledger_entries", "constraint ledger_entries_never_negative"),
)
_ROTATING = ("jwt_secrets", "session_secrets", "webhook_bearers", "metrics_tokens")


async def missing_codes(session: Session) -> list[str]:
    """Find living users without a code; users who never asked for one are among them."""
    rows = await session.diagnoses.without_code(session.clock.now() - CODE_PATIENCE, LARGEST_LIST)
    return [f"{rows[0]['total']} users have no code: {_listed(row['user_id'] for row in rows)}"] if rows else []


async def blocked(session: Session) -> list[str]:
    """Find sessions that hold others up."""
    now = session.clock.now()
    return [
        f"session {row['pid']} holds {row['waiting']} others up, the first of them for "
        # The time is missing for a moment after the wait began.
        f"{max(0.0, (now - (row['since'] or now)).total_seconds()):.0f} s"
        for row in await session.diagnoses.blockers()
    ]


async def resolver_errors(session: Session) -> list[str]:
    """Look up a code as the service does."""
    service = await session.as_service()
    try:
        await service.reads(lambda stores: stores.codes.resolve({Code("00000000")}))
    except (StoreFailure, Failure, asyncpg.PostgresError) as failure:
        cause = failure.__cause__ or failure
        return [f"a look-up fails: {cause}", *await contract_missing(session)]
    return []


async def drift(session: Session) -> list[str]:
    """Compare code book and mirrored metadata."""
    found, service = MetadataDrift(), await session.as_service()
    async for page in service.reconcile_metadata.pages(is_to_repair=False):
        found = found.plus(page)
    kinds = {"unadopted": found.unadopted, "stale": found.stale, "missing": found.missing, "orphaned": found.orphaned}
    return [f"{count} codes are {kind}" for kind, count in kinds.items() if count]


async def enumeration(session: Session) -> list[str]:
    """Find users who try codes."""
    since = session.clock.now() - timedelta(hours=1)
    rows = await session.diagnoses.guessing(since, GUESSES, LARGEST_LIST)
    return [f"{row['user_id']} sent {row['attempts']} unknown codes in the last hour" for row in rows]


async def double_mint(session: Session) -> list[str]:
    """Find users with several canonical codes, and the missing index that forbids them."""
    return [
        *await _broken(session, "one_code_each"),
        *await _lacking(session, ONE_CODE),
    ]


async def deletion(session: Session) -> list[str]:
    """Find deleted users whose rows still wait for their erasure."""
    rows = await session.diagnoses.stuck_erasures(session.clock.now() - ERASURE_PATIENCE, LARGEST_LIST)
    return [f"{row['user_id']} is being erased since {row['erasing_since'].isoformat()}" for row in rows]


async def invite_counter(session: Session) -> list[str]:
    """Find invites whose counter differs from their users."""
    async with session.invite_reconciliation.session() as invites:
        wrong = [each for each in await invites.wrong() if each.current_uses != each.users]
    return [f"{each.invite_id} shows {each.current_uses} uses, and has {each.users} users" for each in wrong]


async def duplicate_uses(session: Session) -> list[str]:
    """Find users who used an invite twice, and the missing key that forbids it."""
    async with session.invite_reconciliation.session() as invites:
        wrong = [each for each in await invites.wrong() if each.rows != each.users]
        has_key = await invites.has_key()
    found = [f"{each.invite_id} has {each.rows - each.users} repeated uses" for each in wrong]
    return found if has_key else [*found, "the key invite_uses_pkey is missing"]


async def partial_completion(session: Session) -> list[str]:
    """Find points that were earned and wait, and slips whose points are lost."""
    rows = await session.diagnoses.waiting_points(sorted(NOT_STUCK), LARGEST_LIST)
    waiting = [f"{row['event_type']} {row['event_key']} of {row['player_id']} waits: {row['cause']}" for row in rows]
    return [*waiting, *await _broken(session, "slips_accrue_once")]


async def balance_differs(session: Session) -> list[str]:
    """Find accounts that differ from their entries."""
    return await _broken(session, "balances_are_entries", "lifetime_is_earned")


async def negative_balance(session: Session) -> list[str]:
    """Find negative balances, and the missing constraints that forbid them."""
    rows = await session.diagnoses.negative_accounts(LARGEST_LIST)
    return [
        *(f"{row['user_id']} has {row['balance']} {row['unit']}" for row in rows),
        *await _lacking(session, *NEVER_NEGATIVE),
    ]


async def contract_missing(session: Session) -> list[str]:
    """Compare the schema with its manifest."""
    faults = await faults_of_the_database(session.settings)
    return [fault.explained for fault in faults if fault.topic == "schema" and fault.blocks != "nothing"]


async def key_rotation(session: Session) -> list[str]:
    """Find settings that hold several secrets: their rotation is not finished."""
    counts = {name: len(getattr(session.settings, name)) for name in _ROTATING}
    if (signed := session.settings.signed_by) is not None:
        counts["webhook_secrets"] = len(signed.keys)
    return [
        f"{variable(name)} holds {count} secrets: a rotation is not finished"
        for name, count in counts.items()
        if count > 1
    ]


async def disk_full(session: Session) -> list[str]:
    """Find replication slots that keep WAL for nobody."""
    return [
        f"the replication slot {row['slot_name']} is not read, and keeps {row['retained']} bytes of WAL"
        for row in await session.diagnoses.idle_slots()
    ]


async def clock_skew(session: Session) -> list[str]:
    """Compare the clocks, and find times that a wrong clock stored."""
    faults = await faults_of_the_database(session.settings)
    rows = await session.diagnoses.leases_ahead(session.clock.now() + MAX_LEAD)
    return [
        *(fault.explained for fault in faults if fault.topic == "clock"),
        *(f"the schedule {row['name']} has a time in the future: {row['leased_until'].isoformat()}" for row in rows),
    ]


async def restored(session: Session) -> list[str]:
    """Look at a restored database: its schema and its promises."""
    service = await session.as_service(statement_seconds=3600.0)
    counted = await service.slow_reads(lambda stores: stores.invariants.count())
    return [
        *await contract_missing(session),
        *(f"{each.name} is {each.state}: {each.violations} rows" for each in counted if not each.is_kept),
    ]


async def _broken(session: Session, *names: str) -> list[str]:
    service, found = await session.as_service(statement_seconds=3600.0), list[str]()
    for name in names:
        rows = await service.slow_reads(
            lambda stores, name=name: stores.invariants.broken_rows(name, limit=LARGEST_LIST)  # type: ignore[misc]
        )
        found += [f"{name} is broken by {_listed(rows)}"] if rows else []
    return found


async def _lacking(session: Session, *items: tuple[str, str]) -> list[str]:
    return [f"{item.partition(' ')[2]} is missing" for _, item in await session.diagnoses.to_mend(items)]


def _listed(names: Iterable[str] | Sequence[str]) -> str:
    return ", ".join(names)
