"""What providers' bodies are read as: nothing is believed that they do not say."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from adapters.webhooks.payloads import Envelope, read_event
from domain.identity_events import IdentityEvent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def read(body: dict[str, Any], *, sent_at: datetime | None = NOW) -> IdentityEvent:
    event = read_event(body, Envelope("msg_1", sent_at, NOW))
    assert isinstance(event, IdentityEvent)
    return event


def plain(**user: Any) -> dict[str, Any]:
    return {"type": "user.updated", "data": {"id": "ada", **user}}


def clerk(status: str | None) -> dict[str, Any]:
    verification = {"status": status} if status is not None else None
    number = {"id": "idn_1", "phone_number": "+15555550100", "verification": verification}
    return plain(phone_numbers=[number], primary_phone_number_id="idn_1")


def supabase(**row: Any) -> dict[str, Any]:
    return {"type": "UPDATE", "schema": "auth", "table": "users", "record": {"id": "ada", **row}, "old_record": None}


@pytest.mark.parametrize(
    ("status", "confirmed"), [("verified", True), ("unverified", False), ("expired", False), (None, False)]
)
def test_clerks_number_counts_when_it_was_verified(status: str | None, confirmed: bool) -> None:
    assert read(clerk(status)).phone_confirmed is confirmed


@pytest.mark.parametrize(
    ("told", "confirmed"), [(True, True), (False, False), ("false", False), (1, False), ("", False)]
)
def test_a_plain_users_phone_is_verified_by_true_alone(told: object, confirmed: bool) -> None:
    assert read(plain(phone="+15555550100", phone_verified=told)).phone_confirmed is confirmed


@pytest.mark.parametrize(("phone", "confirmed"), [("15555550100", True), (None, False), ("", False), (7, False)])
def test_supabases_confirmation_needs_a_phone_that_was_confirmed(phone: object, confirmed: bool) -> None:
    assert read(supabase(phone=phone, phone_confirmed_at="2026-01-01T00:00:00Z")).phone_confirmed is confirmed


def test_supabases_phone_without_a_confirmation_is_not_confirmed() -> None:
    assert not read(supabase(phone="15555550100", phone_confirmed_at=None)).phone_confirmed


def test_a_clock_that_runs_ahead_makes_no_later_event_look_old() -> None:
    event = read(plain(updated_at=(NOW + timedelta(days=365)).isoformat()), sent_at=NOW + timedelta(minutes=4))

    assert (event.occurred_at, event.sent_at) == (NOW, NOW)


@pytest.mark.parametrize("time", [10**30, -(10**30), 1e300, True, "yesterday", "0001-01-01T00:00:00Z", {}, None])
def test_a_time_that_is_none_is_the_time_of_the_delivery(time: object) -> None:
    assert read(plain(updated_at=time)).occurred_at == NOW
