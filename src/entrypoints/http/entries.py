"""Entries of the ledger as every route shows them."""

from datetime import datetime

import msgspec

from domain.ledger import Entry, EventType, Unit
from domain.users import UserId
from entrypoints.http.pages import Page


class EntryView(msgspec.Struct, frozen=True):
    """One change of an account."""

    user_id: UserId
    unit: Unit
    seq: int
    amount: int
    balance_before: int
    balance_after: int
    event_type: EventType
    event_key: str
    reason: str | None
    staff_id: UserId | None
    tier_before: str | None
    tier_after: str | None
    correlation_id: str
    created_at: datetime


class Entries(Page[EntryView], frozen=True):
    """A page of entries, newest first."""


def wire_entry(entry: Entry) -> EntryView:
    """Return an entry as the wire shows it."""
    return EntryView(
        user_id=entry.user_id,
        unit=entry.unit,
        seq=entry.seq,
        amount=entry.amount,
        balance_before=entry.balance_before,
        balance_after=entry.balance_after,
        event_type=entry.event_type,
        event_key=entry.event_key,
        reason=entry.reason,
        staff_id=entry.staff_id,
        tier_before=entry.tier_before,
        tier_after=entry.tier_after,
        correlation_id=entry.correlation_id,
        created_at=entry.created_at,
    )
