"""Which rows the service may change or delete; all others are history, and it may only insert them."""

from collections.abc import Collection, Mapping

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("privileges")

MAY_UPDATE: Mapping[str, Collection[str]] = {
    "users": (
        "email",
        "email_key",
        "username",
        "display_name",
        "phone",
        "profile_at",
        "referrals",
        "deleted_at",
        "email_proved_at",
        "username_proved_at",
        "username_key",
        "erasing_since",
    ),
    "referral_codes": ("is_canonical", "demoted_at", "retired_at"),
    "attribution_attempts": ("attempted_at",),
    "ledger_accounts": ("balance", "version", "lifetime", "updated_at"),
    "rating_slips": (
        "average_bet",
        "state",
        "closed_at",
        "points",
        "completed_at",
        "correlation_id",
        "account_version",
    ),
    "pending_accruals": ("cause", "tries", "last_tried_at"),
    "rewards": ("name", "description", "cost", "active"),
    "invites": ("current_uses", "revoked_at"),
    "topics": ("head", "last_at"),
    "channel_members": ("role", "joined_seq", "left_seq", "read_seq"),
    "messages": ("body", "deleted_at"),
    "stage_rosters": ("roster_version", "contract_version", "roles"),
    "credentials": ("password_hash",),
    "flags": ("enabled", "updated_at", "updated_by"),
    "backfill_runs": ("state", "verification", "started_at", "finished_at"),
    "legacy_users": ("email", "email_key", "username", "username_key", "display_name", "phone"),
    "metadata_mirror": ("code", "mirrored_at"),
    "reply_totals": ("replies", "bytes"),
    "schedules": ("leased_until", "last_done_at"),
}
"""The columns that may change, by table."""

MAY_DELETE: frozenset[str] = frozenset(
    {
        "attribution_attempts",
        "webhook_deliveries",
        "idempotency_keys",
        "reply_totals",
        "pending_accruals",
        "metadata_mirror",
        "sessions",
        "roster_slots",
    }
)
"""The tables whose rows may be deleted."""


async def privilege_faults(connection: Connection) -> list[str]:
    """Return the tables whose history the service could change or delete."""
    faults: list[str] = []
    for table, may_update, may_delete, may_truncate in await connection.fetch(_SQL.privileges):
        if may_truncate or not set(may_update) <= set(MAY_UPDATE.get(table, ())):
            faults.append(f"the service may change what is history: {table}")
        elif may_delete and table not in MAY_DELETE:
            faults.append(f"the service may delete what is history: {table}")
    return faults
