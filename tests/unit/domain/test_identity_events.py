"""The order in which events count, for events that arrive in any order."""

from datetime import UTC, datetime, timedelta
from itertools import permutations

import msgspec
import pytest

from tallystick.domain.identity_events import EventKind, IdentityEvent, apply, is_out_of_order, yields_claim
from tallystick.domain.users import UNIQUE_FIELDS, Profile, UniqueField, User, UserId

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(kind: EventKind, minutes: int, username: str | None = None) -> IdentityEvent:
    at = NOON + timedelta(minutes=minutes)
    return IdentityEvent("msg", kind, UserId("ada"), at, at, at, Profile(username=username))


def a_user(**about: object) -> User:
    return User(user_id=UserId("ada"), created_at=NOON, **about)  # type: ignore[arg-type]  # builder


def test_in_any_order_the_newest_profile_stands() -> None:
    events = [an_event("created", 0, "a"), an_event("updated", 1, "b"), an_event("updated", 2, "c")]

    for order in permutations(events):
        user = a_user()
        for event in order:
            user = apply(event, user)
        assert (user.profile.username, user.profile_at) == ("c", NOON + timedelta(minutes=2))


def test_in_any_order_a_deletion_stands() -> None:
    events = [an_event("created", 0, "a"), an_event("updated", 1, "b"), an_event("deleted", 2)]

    for order in permutations(events):
        user = a_user()
        for event in order:
            user = apply(event, user)
        assert user.deleted_at is not None
        assert user.profile == Profile()


@pytest.mark.parametrize(
    ("kind", "minutes", "user", "late"),
    [
        ("created", 0, a_user(), False),
        ("updated", 0, a_user(), True),
        ("deleted", 0, a_user(), True),
        ("updated", 0, a_user(profile_at=NOON), False),
        ("updated", 1, a_user(profile_at=NOON), False),
        ("updated", -1, a_user(profile_at=NOON), True),
        ("deleted", 1, a_user(profile_at=NOON), False),
        ("created", 1, a_user(profile_at=NOON, deleted_at=NOON), True),
    ],
)
def test_an_event_is_late_when_it_should_have_come_before_another(
    kind: EventKind, minutes: int, user: User, late: bool
) -> None:
    assert is_out_of_order(an_event(kind, minutes), user) is late


@pytest.mark.parametrize("claim", UNIQUE_FIELDS)
@pytest.mark.parametrize(
    ("proved_at", "is_proved", "yields"),
    [
        (None, True, True),
        (NOON, True, True),
        (NOON + timedelta(seconds=1), True, False),
        (None, False, False),
        (NOON - timedelta(seconds=1), False, False),
    ],
    ids=["nothing proved", "proved as late", "proved later", "nothing against nothing", "nothing against a proof"],
)
def test_a_claim_goes_to_the_newest_proof_and_to_nothing_else(
    claim: UniqueField, proved_at: datetime | None, is_proved: bool, yields: bool
) -> None:
    event = msgspec.structs.replace(an_event("updated", 0), proves=frozenset({claim} if is_proved else ()))

    assert yields_claim(a_user(**{f"{claim}_proved_at": proved_at}), claim, event) is yields
