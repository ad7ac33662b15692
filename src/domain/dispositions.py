"""Dispositions: what becomes of every column that belongs to a user when the user is deleted."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

WITHDRAWN = "withdrawn"
"""What a reward is called when who offered it was deleted."""


class Disposition(NamedTuple):
    """What becomes of a column of a deleted user, and why it is kept where it is."""

    becomes: Literal["delete", "anonymise", "keep"]
    reason: str = ""


def _deleted(*columns: str) -> dict[str, Disposition]:
    return dict.fromkeys(columns, Disposition("delete"))


def _anonymised(*columns: str) -> dict[str, Disposition]:
    return dict.fromkeys(columns, Disposition("anonymise"))


def _kept(reason: str, *columns: str) -> dict[str, Disposition]:
    return dict.fromkeys(columns, Disposition("keep", reason))


_WHOSE = "the provider's opaque id: history hangs on it, and a late delivery or a living token finds the deletion by it"
_BOOKS = "the books add up for ever: an entry is never changed, and the next one starts where it ended"
_SPENT = "it was paid for: a purchase is part of the books, and counts once for ever"
_RATED = "what was played and what it earned: points are explained by it, line by line"
_WAITS = "points that were earned and never credited stay for who asks what became of them"
_SEAT = "a seat that was taken stays taken: the counter of the invite is the number of its uses"
_MADE = "others hold the invite: it stays valid until it is revoked"
_EDGE = "one inviter for ever: the other of the two is a user of their own"
_BROUGHT = "which backfill brought the row: it is needed to take the backfill back"
_PLANNED = "what a backfill was planned by: it is proved by it, and taken back by it, and goes then"
_CODE = "a code is one user's for ever: nobody else may be given it"

DISPOSITIONS: Mapping[str, Mapping[str, Disposition]] = MappingProxyType(
    {
        "users": {
            **_deleted("email", "email_key", "username", "username_key", "display_name", "phone"),
            **_deleted("email_proved_at", "username_proved_at"),
            **_kept(_WHOSE, "user_id"),
            **_kept("it orders the provider's deliveries", "profile_at"),
            **_kept("the number of edges that stay", "referrals"),
            **_kept("when the account began and ended", "created_at", "deleted_at"),
            **_kept(
                "that rows of the user are still to be erased; it is emptied with the last of them", "erasing_since"
            ),
            **_kept(_BROUGHT, "backfill_run"),
        },
        "phone_verifications": _kept(
            "a verification is never taken back; it holds no number", "user_id", "source", "verified_at"
        ),
        "credentials": {
            **_deleted("password_hash"),
            **_kept("nobody signs up twice under one id", "user_id", "created_at"),
        },
        "sessions": _deleted("user_id", "session_id", "created_at", "expires_at"),
        "referral_codes": {
            **_kept(_CODE, "code", "user_id", "is_canonical", "created_at", "demoted_at"),
            **_kept("from then on the code resolves to nobody", "retired_at"),
            **_kept(_BROUGHT, "backfill_run"),
        },
        "referral_edges": {
            **_kept(_EDGE, "invitee_id", "inviter_id", "code", "created_at"),
            **_kept("a random id: a retry finds its own edge", "arrival_id"),
            **_kept(_BROUGHT, "backfill_run"),
        },
        "attribution_attempts": _deleted("user_id", "code_digest", "reason", "attempted_at"),
        "ledger_accounts": _kept(
            _BOOKS, "user_id", "unit", "balance", "version", "lifetime", "updated_at", "frozen_at"
        ),
        "ledger_entries": {
            **_kept(_BOOKS, "user_id", "unit", "seq", "amount", "balance_before", "balance_after", "created_at"),
            **_kept("one event counts once for ever", "event_type", "event_key"),
            **_kept("staff's own words for the books; they are not to name a person in them", "reason"),
            **_kept("who answers for an award", "staff_id"),
            **_kept("the request that made the entry", "correlation_id"),
            **_kept("the receipt of the entry", "tier_before", "tier_after", "lifetime_after", "tier_progress"),
        },
        "rating_slips": {
            **_kept(_RATED, "slip_id", "player_id", "game", "average_bet", "state", "points"),
            **_kept(_RATED, "decisions_per_hour", "house_edge_bp", "points_per_100"),
            **_kept(_RATED, "opened_at", "closed_at", "completed_at", "correlation_id", "account_version"),
        },
        "pending_accruals": {
            **_kept(_WAITS, "player_id", "event_type", "event_key", "points", "staff_id", "correlation_id"),
            **_kept(_WAITS, "cause", "created_at", "tries", "last_tried_at"),
            **_kept("staff's own words, as in entries", "reason"),
        },
        "rewards": {
            **_anonymised("name"),
            **_deleted("description"),
            **_kept("what others paid for stays theirs", "reward_id", "owner_id", "cost", "created_at"),
            **_kept("switched off: nobody pays who is gone", "active"),
        },
        "collected_rewards": _kept(
            _SPENT,
            *("user_id", "reward_id", "owner_id", "cost", "order_id", "collected_at"),
            *("balance_before", "balance_after"),
        ),
        "invites": {
            **_kept(_MADE, "code", "invite_id", "owner_id", "max_uses", "current_uses"),
            **_kept(_MADE, "expires_at", "revoked_at", "created_at"),
        },
        "invite_uses": _kept(_SEAT, "invite_id", "user_id", "attempt_id", "used_at"),
        "legacy_users": {
            **_deleted("email", "email_key", "username", "username_key", "display_name", "phone"),
            **_kept(_PLANNED, "run", "position", "user_id", "created_at", "phone_verified"),
            **_kept(_PLANNED, "inviter_id", "inviter_code", "points"),
        },
        "legacy_codes": _kept(_PLANNED, "run", "position", "code", "user_id", "is_canonical", "created_at", "kept_by"),
        "code_conflicts": _kept(
            "a code that leads to somebody else than it did elsewhere is explained by it",
            *("code", "user_id", "kept_by", "reason", "run", "created_at"),
        ),
        "clicked_codes": _kept(
            "that somebody followed a link with the code, not who: a rollback lets what was followed resolve",
            *("code", "clicked_at"),
        ),
        "metadata_mirror": _deleted("user_id", "code", "mirrored_at"),
        "flags": _kept("who answers for how a flow is switched", "name", "enabled", "updated_at", "updated_by"),
        "idempotency_keys": _deleted("caller", "key", "fingerprint", "status", "body", "created_at", "is_counted"),
        "reply_totals": _deleted("caller", "replies", "bytes"),
    }
)
"""Every column of every table that holds rows of users: a new column needs its line here."""

ABOUT_NOBODY: Mapping[str, str] = MappingProxyType(
    {
        "schema_migrations": "which migrations ran",
        "backfill_runs": "plans of backfills: numbers of users and codes, and lines of a file by number",
        "backfill_chunks": "how far backfills have come",
        "backfill_malformed": "lines that could not be read, by number, and why; nothing of what they hold",
        "fingerprint_keys": "the key that requests with an idempotency key are hashed with",
        "schedules": "when something was done last",
        "webhook_deliveries": "ids of deliveries and when they came, for eight days; not whom they were about",
    }
)
"""Tables whose rows belong to no user, and what they hold."""
