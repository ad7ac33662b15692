"""Reading of providers' bodies: no value is assumed that a body does not contain."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tallystick.adapters.webhooks.payloads import Envelope, UnknownShape, read_event
from tallystick.adapters.webhooks.trust import Provider
from tallystick.domain.identity_events import IdentityEvent
from tests.http.providers import ABSENT, CONFIRMED_AT, NO_TIMES, NOT_TRUE, NOT_VERIFIED, body_of

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
    ("value", "confirmed"), [(True, True), (False, False), ("false", False), (1, False), ("", False)]
)
def test_a_plain_users_phone_is_verified_by_true_alone(value: object, confirmed: bool) -> None:
    assert read(plain(phone="+15555550100", phone_verified=value)).phone_confirmed is confirmed


@pytest.mark.parametrize(("phone", "confirmed"), [("15555550100", True), (None, False), ("", False), (7, False)])
def test_supabases_confirmation_needs_a_phone_that_was_confirmed(phone: object, confirmed: bool) -> None:
    assert read(supabase(phone=phone, phone_confirmed_at="2026-01-01T00:00:00Z")).phone_confirmed is confirmed


def test_supabases_phone_without_a_confirmation_is_not_confirmed() -> None:
    assert not read(supabase(phone="15555550100", phone_confirmed_at=None)).phone_confirmed


NO_NUMBERS: tuple[Any, ...] = (None, "", 7, [], "\x00")
PHONES: dict[Provider, tuple[str, str, tuple[Any, ...], Any]] = {
    "plain": ("phone", "phone_verified", NOT_TRUE, True),
    "supabase": ("phone", "phone_confirmed_at", NO_TIMES, CONFIRMED_AT),
    "auth0": ("phone_number", "phone_verified", NOT_TRUE, True),
}


@pytest.mark.parametrize("provider", PHONES)
def test_only_its_proof_confirms_a_phone(provider: Provider) -> None:
    number, mark, not_proofs, proof = PHONES[provider]

    for said in (*not_proofs, ABSENT):
        assert not read(body_of(provider, "ada", **{number: "+15555550100", mark: said})).phone_confirmed, said
    for no_number in NO_NUMBERS:
        assert not read(body_of(provider, "ada", **{number: no_number, mark: proof})).phone_confirmed, no_number
    assert read(body_of(provider, "ada", **{number: "+15555550100", mark: proof})).phone_confirmed


@pytest.mark.parametrize("said", NO_TIMES)
def test_a_plain_phone_is_not_confirmed_at_no_time(said: Any) -> None:
    assert not read(plain(phone="+15555550100", phone_confirmed_at=said)).phone_confirmed


@pytest.mark.parametrize("said", NOT_VERIFIED)
def test_clerks_number_is_verified_by_its_status_alone(said: Any) -> None:
    number = {"id": "idn_1", "phone_number": "+15555550100", "verification": {"status": said}}

    assert not read(plain(phone_numbers=[number], primary_phone_number_id="idn_1")).phone_confirmed


@pytest.mark.parametrize(
    "time", ["1999-12-31T00:00:00Z", "2026-01-01 09:00:00+00", "2026-01-01T09:00:00-11:30", 1_600_000_000, 10**12]
)
def test_a_time_that_has_come_confirms_a_phone(time: object) -> None:
    assert read(supabase(phone="15555550100", phone_confirmed_at=time)).phone_confirmed


def test_a_part_of_a_plain_user_need_not_repeat_the_number() -> None:
    assert read(plain(phone_verified=True)).phone_confirmed
    assert read(plain(phone_confirmed_at=CONFIRMED_AT)).phone_confirmed


def test_an_update_is_not_as_old_as_its_user() -> None:
    assert read(plain(created_at="2020-01-01T00:00:00Z")).occurred_at == NOW
    created = {"type": "user.created", "data": {"id": "ada", "created_at": "2020-01-01T00:00:00Z"}}
    assert read(created).occurred_at == datetime(2020, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("provider", PHONES)
def test_a_display_name_that_is_an_address_is_left_out(provider: Provider) -> None:
    names: dict[str, Any] = {"name": "ada@example.org", "raw_user_meta_data": {"name": "ada@example.org"}}

    assert read(body_of(provider, "ada", **names)).profile.display_name is None


def test_a_clock_that_runs_ahead_makes_no_later_event_look_old() -> None:
    event = read(plain(updated_at=(NOW + timedelta(days=365)).isoformat()), sent_at=NOW + timedelta(minutes=4))

    assert (event.occurred_at, event.sent_at) == (NOW, NOW)


@pytest.mark.parametrize("time", [10**30, -(10**30), 1e300, True, "yesterday", "0001-01-01T00:00:00Z", {}, None])
def test_a_time_that_is_none_is_the_time_of_the_delivery(time: object) -> None:
    assert read(plain(updated_at=time)).occurred_at == NOW


@pytest.mark.parametrize("row", [{"record": None}, {"record": {}}, {"old_record": None}, {"table": "users"}])
def test_members_of_a_row_beside_an_event_of_a_user_change_nothing(row: dict[str, Any]) -> None:
    event = read({"type": "user.deleted", "data": {"id": "ada"}, **row})

    assert (event.kind, event.user_id) == ("deleted", "ada")


@pytest.mark.parametrize("kind", ["INSERT", "UPDATE", "DELETE"])
@pytest.mark.parametrize(
    "lacking",
    [{"schema": ABSENT}, {"table": ABSENT}, {"schema": None}, {"table": 1}, {"record": ABSENT, "old_record": ABSENT}],
)
def test_a_row_that_does_not_say_what_it_is_is_refused(kind: str, lacking: dict[str, Any]) -> None:
    body = {**supabase(email="ada@example.org"), "old_record": {"id": "ada"}, "type": kind, **lacking}

    with pytest.raises(UnknownShape):
        read({name: value for name, value in body.items() if value is not ABSENT})


@pytest.mark.parametrize(
    "kind", [" user.deleted", "user.deleted ", "\tuser.deleted\n", "USER.DELETED ", "user . deleted"]
)
def test_another_spelling_of_a_type_is_refused(kind: str) -> None:
    with pytest.raises(UnknownShape):
        read({"type": kind, "data": {"id": "ada"}})
