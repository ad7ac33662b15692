"""Dispositions: the effect of a deletion on every column that belongs to a user."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple

WITHDRAWN = "withdrawn"
"""The name of a reward whose owner was deleted."""


class Disposition(NamedTuple):
    """The effect of a deletion on a column; a column that is kept has a reason."""

    becomes: Literal["delete", "anonymise", "keep"]
    reason: str = ""


def _deleted(*columns: str) -> dict[str, Disposition]:
    return dict.fromkeys(columns, Disposition("delete"))


def _anonymised(*columns: str) -> dict[str, Disposition]:
    return dict.fromkeys(columns, Disposition("anonymise"))


def _kept(reason: str, *columns: str) -> dict[str, Disposition]:
    return dict.fromkeys(columns, Disposition("keep", reason))


_USER_ID = (
    "the provider's opaque id: history refers to it, and late deliveries and valid tokens find the deletion by it"
)
_LEDGER = "entries are never changed: the balance before an entry is the balance after the previous one"
_PURCHASE = "the reward was paid for: the purchase belongs to the ledger, and counts once for ever"
_SLIP = "the slip explains points of the ledger, line by line"
_PENDING = "points that were earned and not credited stay, so that staff can explain them"
_SEAT = "a seat stays taken: the counter of the invite is the number of its uses"
_INVITE = "other users hold the invite: it stays valid until it is revoked"
_EDGE = "an edge is kept for ever: it also belongs to the other user"
_IMPORTED = "the backfill that wrote the row: a rollback needs it"
_PLANNED = "the plan of a backfill: verify and rollback need it, and a rollback removes it"
_LOG = "other members saw the event, and numbers have no gaps; it holds no text"
_ROOM = "the channel belongs to its other members too"
_CODE = "a code belongs to one user for ever: it is never given to another user"

DISPOSITIONS: Mapping[str, Mapping[str, Disposition]] = MappingProxyType(
    {
        "users": {
            **_deleted("email", "email_key", "username", "username_key", "display_name", "phone"),
            **_deleted("email_proved_at", "username_proved_at"),
            **_kept(_USER_ID, "user_id"),
            **_kept("it orders the provider's deliveries", "profile_at"),
            **_kept("the number of edges that stay", "referrals"),
            **_kept("the times of creation and deletion", "created_at", "deleted_at"),
            **_kept(
                "marks that rows of the user are still to be erased; it is cleared with the last of them",
                "erasing_since",
            ),
            **_kept(_IMPORTED, "backfill_run"),
        },
        "phone_verifications": _kept(
            "a verification is never undone; it holds no phone number", "user_id", "source", "verified_at"
        ),
        "credentials": {
            **_deleted("password_hash"),
            **_kept("no user signs up twice under one id", "user_id", "created_at"),
        },
        "sessions": _deleted("user_id", "session_id", "created_at", "expires_at"),
        "referral_codes": {
            **_kept(_CODE, "code", "user_id", "is_canonical", "created_at", "demoted_at"),
            **_kept("the time since which the code resolves to nobody", "retired_at"),
            **_kept(_IMPORTED, "backfill_run"),
        },
        "referral_edges": {
            **_kept(_EDGE, "invitee_id", "inviter_id", "code", "created_at"),
            **_kept("a random id: a retry finds its own edge", "arrival_id"),
            **_kept(_IMPORTED, "backfill_run"),
        },
        "attribution_attempts": _deleted("user_id", "code_digest", "reason", "attempted_at"),
        "ledger_accounts": _kept(
            _LEDGER, "user_id", "unit", "balance", "version", "lifetime", "updated_at", "frozen_at"
        ),
        "ledger_entries": {
            **_kept(_LEDGER, "user_id", "unit", "seq", "amount", "balance_before", "balance_after", "created_at"),
            **_kept("one event counts once for ever", "event_type", "event_key"),
            **_kept("a text that staff wrote for the ledger; staff must not name a person in it", "reason"),
            **_kept("the member of staff who made the award", "staff_id"),
            **_kept("the request that made the entry", "correlation_id"),
            **_kept("the receipt of the entry", "tier_before", "tier_after", "lifetime_after", "tier_progress"),
        },
        "rating_slips": {
            **_kept(_SLIP, "slip_id", "player_id", "game", "average_bet", "state", "points"),
            **_kept(_SLIP, "decisions_per_hour", "house_edge_bp", "points_per_100"),
            **_kept(_SLIP, "opened_at", "closed_at", "completed_at", "correlation_id", "account_version"),
        },
        "pending_accruals": {
            **_kept(_PENDING, "player_id", "event_type", "event_key", "points", "staff_id", "correlation_id"),
            **_kept(_PENDING, "cause", "created_at", "tries", "last_tried_at"),
            **_kept("a text that staff wrote, as in entries", "reason"),
        },
        "rewards": {
            **_anonymised("name"),
            **_deleted("description"),
            **_kept("other users paid for the reward and keep it", "reward_id", "owner_id", "cost", "created_at"),
            **_kept("switched off: a reward of a deleted user cannot be bought", "active"),
        },
        "collected_rewards": _kept(
            _PURCHASE,
            *("user_id", "reward_id", "owner_id", "cost", "order_id", "collected_at"),
            *("balance_before", "balance_after"),
        ),
        "invites": {
            **_kept(_INVITE, "code", "invite_id", "owner_id", "max_uses", "current_uses"),
            **_kept(_INVITE, "expires_at", "revoked_at", "created_at"),
        },
        "invite_uses": _kept(_SEAT, "invite_id", "user_id", "attempt_id", "used_at"),
        "topic_events": _kept(
            _LOG, *("topic_id", "seq", "event_id", "kind", "ref", "actor_id", "payload", "created_at")
        ),
        "channels": _kept(_ROOM, "channel_id", "owner_id", "name", "created_at"),
        "channel_members": _kept(
            "the user is removed from the channel; the row says that they were a member",
            *("channel_id", "user_id", "role", "joined_seq", "left_seq", "read_seq"),
        ),
        "messages": {
            **_deleted("body"),
            **_kept("a tombstone: numbers have no gaps", "channel_id", "seq", "message_id", "sender_id"),
            **_kept("chosen by the client: the same message sent again is found by it", "client_message_id"),
            **_kept("the times of the message and of its deletion", "created_at", "deleted_at"),
        },
        "stage_rosters": _kept(
            "the room belongs to its players too; callers with `rooms:manage` can still change it",
            *("room_id", "owner_id", "roster_version", "contract_version", "roles"),
        ),
        "roster_slots": _deleted("room_id", "role", "slot", "player_id"),
        "session_overlays": {
            **_deleted("owner_id", "payload", "expires_at"),
            **_kept("an empty row: versions of the session are never numbered twice", "session_id", "version"),
        },
        "legacy_users": {
            **_deleted("email", "email_key", "username", "username_key", "display_name", "phone"),
            **_kept(_PLANNED, "run", "position", "user_id", "created_at", "phone_verified"),
            **_kept(_PLANNED, "inviter_id", "inviter_code", "points"),
        },
        "legacy_codes": _kept(_PLANNED, "run", "position", "code", "user_id", "is_canonical", "created_at", "kept_by"),
        "code_conflicts": _kept(
            "explains why an imported code belongs to another user here",
            *("code", "user_id", "kept_by", "reason", "run", "created_at"),
        ),
        "clicked_codes": _kept(
            "a link with the code was followed, by an unknown visitor: after a rollback the code still resolves",
            *("code", "clicked_at"),
        ),
        "metadata_mirror": _deleted("user_id", "code", "mirrored_at"),
        "flags": _kept("the administrator who switched the flag", "name", "enabled", "updated_at", "updated_by"),
        "operator_actions": _kept(
            "the audit of repairs by operators: it names rows by their ids",
            *("action_id", "action", "subject", "found", "done", "operator", "acted_at"),
        ),
        "invariant_passes": _kept(
            "the position of the look at the invariants may be the id of a user, and the next look overwrites it",
            *("promise", "began_at", "after", "violations", "skipped"),
            *("last_began_at", "last_violations", "last_skipped"),
        ),
        "idempotency_keys": _deleted("caller", "key", "fingerprint", "status", "body", "created_at", "is_counted"),
        "reply_totals": _deleted("caller", "replies", "bytes"),
    }
)
"""Every column of every table that holds rows of users: a new column needs its line here."""

TABLES_WITHOUT_USERS: Mapping[str, str] = MappingProxyType(
    {
        "schema_migrations": "migrations that were applied",
        "backfill_runs": "plans of backfills: numbers of users and codes, and lines of a file by number",
        "backfill_chunks": "progress of backfills",
        "backfill_malformed": "numbers of lines that could not be read, with the reason and without the content",
        "topics": "the numbers of the first and the last event of each channel, and of overlays",
        "fingerprint_keys": "the key that hashes requests with an idempotency key",
        "schedules": "times of the last runs of scheduled work",
        "webhook_deliveries": "ids and times of deliveries, for eight days, without their users",
    }
)
"""Tables whose rows belong to no user, and what they hold."""
