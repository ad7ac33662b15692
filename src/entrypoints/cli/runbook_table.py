"""The runbooks: each incident with its page, its diagnosis, its fix in words, and the command that does it."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple

from tallystick.adapters.postgres.operator_actions import Change
from tallystick.entrypoints.cli import runbook_diagnoses as diagnoses
from tallystick.entrypoints.cli import runbook_fixes as fixes
from tallystick.entrypoints.cli.session import Session


class Runbook(NamedTuple):
    """One incident."""

    name: str
    purpose: str
    page: str
    """The name of the page in docs/runbooks."""
    diagnose: Callable[[Session], Awaitable[list[str]]]
    fix: str
    """The safe fix, in words."""
    apply: Callable[[Session], Awaitable[list[Change]]] | None = None
    """The function that applies the fix; None where only a person can apply it."""


RUNBOOKS = (
    Runbook(
        "missing-codes",
        "users have no referral code",
        "missing-codes",
        diagnoses.missing_codes,
        "mint their codes; users who ask later get theirs by themselves",
        fixes.mint,
    ),
    Runbook(
        "webhook-lag",
        "deliveries of the identity provider are committed late",
        "webhook-lag",
        diagnoses.blocked,
        "end the sessions that hold others up; the provider delivers again what was not answered",
        fixes.end_blockers,
    ),
    Runbook(
        "resolver-errors",
        "look-ups of codes fail",
        "resolver-errors",
        diagnoses.resolver_errors,
        "bring back the rights and policies that the schema lacks",
        fixes.restore_contract,
    ),
    Runbook(
        "drift",
        "the legacy metadata shows other codes than the code book",
        "mirror-failures",
        diagnoses.drift,
        "reconcile them, as `tallystick reconcile metadata --apply` does",
        fixes.reconcile,
    ),
    Runbook(
        "enumeration",
        "somebody tries codes",
        "enumeration",
        diagnoses.enumeration,
        "lower the limits in TALLYSTICK_RATE_LIMITS, block the address at the proxy, or delete the account by "
        "`tallystick users delete USER`",
    ),
    Runbook(
        "double-mint",
        "a user has several canonical codes",
        "double-mint",
        diagnoses.double_mint,
        "the newest stays canonical, the others become aliases, and the index comes back",
        fixes.repair_codes,
    ),
    Runbook(
        "deletion",
        "the erasure of a deleted user does not end",
        "deletion",
        diagnoses.deletion,
        "erase the rest now, as `tallystick users delete USER` does",
        fixes.finish_erasures,
    ),
    Runbook(
        "invite-counter",
        "the counter of an invite is wrong",
        "invite-counter",
        diagnoses.invite_counter,
        "recount the uses, as `tallystick reconcile invites --apply` does",
        fixes.repair_invites,
    ),
    Runbook(
        "duplicate-uses",
        "a user took two seats of one invite",
        "duplicate-uses",
        diagnoses.duplicate_uses,
        "the earliest use stays, the counter follows, and the key comes back",
        fixes.repair_invites,
    ),
    Runbook(
        "lock-conflicts",
        "requests wait for locks",
        "lock-conflicts",
        diagnoses.blocked,
        "end the sessions that hold others up; their transactions are rolled back",
        fixes.end_blockers,
    ),
    Runbook(
        "partial-completion",
        "a slip is closed, and its points are not credited",
        "pending-accruals",
        diagnoses.partial_completion,
        "credit the points that wait, once for each event",
        fixes.recover_points,
    ),
    Runbook(
        "balance-differs",
        "a balance differs from its entries",
        "balance-differs",
        diagnoses.balance_differs,
        "set the account to its entries; an entry `correction` says what the balance was",
        fixes.repair_balances,
    ),
    Runbook(
        "negative-balance",
        "a balance is negative, or a write tried to make it so",
        "negative-balance",
        diagnoses.negative_balance,
        "set the account to its entries, and bring the constraint back",
        fixes.repair_balances,
    ),
    Runbook(
        "contract-missing",
        "the schema lacks rights, policies, constraints or indexes, has others, or gives the service more rights",
        "contract-missing",
        diagnoses.contract_missing,
        "bring the schema to its manifest; lost tables, columns and rows come back from a backup alone",
        fixes.restore_contract,
    ),
    Runbook(
        "key-rotation",
        "the rotation of a secret is not finished",
        "rotate-secrets",
        diagnoses.key_rotation,
        "once no token of the old secret is valid any more, remove it from the setting and restart",
    ),
    Runbook(
        "disk-full",
        "the disk of the database is full",
        "disk-full",
        diagnoses.disk_full,
        "free space; drop a replication slot that nobody needs: SELECT pg_drop_replication_slot('NAME')",
    ),
    Runbook(
        "clock-skew",
        "clocks differ, or stored a time in the future",
        "clock-difference",
        diagnoses.clock_skew,
        "synchronise the clock of the machine; a stored time more than a day ahead is ignored, and replaced by the "
        "next run",
    ),
    Runbook(
        "restore",
        "a backup was restored: is it whole?",
        "restore",
        diagnoses.restored,
        "restore the lost rows, or the whole backup once more; `tallystick invariants --ids` names the rows",
    ),
)
