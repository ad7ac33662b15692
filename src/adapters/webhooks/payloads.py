"""What identity providers send: Standard Webhooks with a plain user, Clerk's users, Supabase's database webhook."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Literal

import msgspec

from domain.identity_events import EventKind, IdentityEvent
from domain.users import (
    MAX_NAME_LENGTH,
    MAX_PHONE_LENGTH,
    Profile,
    UserId,
    is_email,
    is_plain,
    is_user_id,
)

Fields = Mapping[str, object]

_KINDS: Mapping[str, EventKind] = {
    "user.created": "created",
    "user.updated": "updated",
    "user.deleted": "deleted",
    "INSERT": "created",
    "UPDATE": "updated",
    "DELETE": "deleted",
}
_MILLISECONDS_FROM = 100_000_000_000  # as seconds this would be the year 5138
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class UnknownShape(Exception):
    """A JSON body that no known provider sends; the message names what is missing."""


class Envelope(msgspec.Struct, frozen=True):
    """What came with a body: its id, and when it was sent and received."""

    delivery_id: str
    sent_at: datetime | None
    """None for a body that is not signed, and so carries no time that counts."""
    received_at: datetime


def read_event(body: object, envelope: Envelope) -> IdentityEvent | Literal["ignored"]:
    """Return the event that a provider's body tells; UnknownShape says why there is none.

    Fields that do not fit (an address that is none, a name too long) are left out: the user matters more.
    """
    if not isinstance(body, Mapping):
        raise UnknownShape("a JSON object is needed")
    if "record" in body or "old_record" in body:
        return _from_supabase(body, envelope)
    kind, data = body.get("type"), body.get("data")
    if not isinstance(kind, str):
        raise UnknownShape("type: a string such as user.created is needed")
    if kind not in _KINDS:
        return "ignored"
    if not isinstance(data, Mapping):
        raise UnknownShape("data: the user is needed")
    times = (data.get("updated_at"), data.get("created_at"), body.get("timestamp"))
    if "email_addresses" in data or "phone_numbers" in data:
        return _event(_KINDS[kind], data, envelope, times, *_clerk_profile(data))
    return _event(_KINDS[kind], data, envelope, times, *_plain_profile(data))


def _from_supabase(body: Fields, envelope: Envelope) -> IdentityEvent | Literal["ignored"]:
    kind = body.get("type")
    if body.get("schema") != "auth" or body.get("table") != "users" or not isinstance(kind, str) or kind not in _KINDS:
        return "ignored"
    row = body.get("old_record") if kind == "DELETE" else body.get("record")
    if not isinstance(row, Mapping):
        raise UnknownShape("record: the row of auth.users is needed")
    is_deleted = kind == "DELETE" or row.get("deleted_at") is not None
    told = row.get("raw_user_meta_data")
    told = told if isinstance(told, Mapping) else {}
    names = (told.get("display_name"), told.get("full_name"), told.get("name"))
    profile = Profile(
        email=_email(row.get("email")),
        username=_name(told.get("username")),
        display_name=next(filter(None, map(_name, names)), None),
        phone=_phone(row.get("phone")),
    )
    times = (row.get("updated_at"), row.get("created_at"))
    is_confirmed = profile.phone is not None and row.get("phone_confirmed_at") is not None
    return _event("deleted" if is_deleted else _KINDS[kind], row, envelope, times, profile, is_confirmed)


def _event(
    kind: EventKind,
    user: Fields,
    envelope: Envelope,
    times: tuple[object, ...],
    profile: Profile,
    phone_confirmed: bool,
) -> IdentityEvent:
    user_id = user.get("id", user.get("user_id"))
    if not is_user_id(user_id):
        raise UnknownShape("the user's id is needed: 1 to 128 of A-Z a-z 0-9 _ . : | @ -")
    told = next(filter(None, map(_time, times)), None)
    sent_at = envelope.sent_at or told or envelope.received_at
    return IdentityEvent(
        delivery_id=envelope.delivery_id,
        kind=kind,
        user_id=UserId(str(user_id)),
        # A provider's clock that runs ahead must not make every later event look old.
        occurred_at=min(told or sent_at, envelope.received_at),
        sent_at=min(sent_at, envelope.received_at),
        received_at=envelope.received_at,
        profile=profile,
        phone_confirmed=phone_confirmed,
    )


def _plain_profile(user: Fields) -> tuple[Profile, bool]:
    profile = Profile(
        email=_email(user.get("email")),
        username=_name(user.get("username")),
        display_name=_name(user.get("display_name")) or _name(user.get("name")),
        phone=_phone(user.get("phone")),
    )
    is_confirmed = user.get("phone_verified") is True or user.get("phone_confirmed_at") is not None
    return profile, is_confirmed


def _clerk_profile(user: Fields) -> tuple[Profile, bool]:
    address = _primary(user, "email_addresses", "primary_email_address_id")
    number = _primary(user, "phone_numbers", "primary_phone_number_id")
    verification = number.get("verification")
    names = " ".join(filter(None, (_name(user.get("first_name")), _name(user.get("last_name")))))
    profile = Profile(
        email=_email(address.get("email_address")),
        username=_name(user.get("username")),
        display_name=_name(names),
        phone=_phone(number.get("phone_number")),
    )
    return profile, isinstance(verification, Mapping) and verification.get("status") == "verified"


def _primary(user: Fields, entries_name: str, id_name: str) -> Fields:
    entries = user.get(entries_name)
    entries = [entry for entry in entries if isinstance(entry, Mapping)] if isinstance(entries, list) else []
    primary = [entry for entry in entries if entry.get("id") == user.get(id_name)]
    return next(iter(primary + entries), {})


def _email(value: object) -> str | None:
    return value if isinstance(value, str) and is_email(value) else None


def _name(value: object) -> str | None:
    name = value.strip() if isinstance(value, str) else ""
    return name if is_plain(name, longest=MAX_NAME_LENGTH) else None


def _phone(value: object) -> str | None:
    return value if isinstance(value, str) and is_plain(value, longest=MAX_PHONE_LENGTH) else None


def _time(value: object) -> datetime | None:
    """Return a provider's time: RFC 3339, or seconds or milliseconds since 1970."""
    try:
        if isinstance(value, str):
            time = datetime.fromisoformat(value)
            time = time if time.tzinfo is not None else time.replace(tzinfo=UTC)
        elif isinstance(value, int) and not isinstance(value, bool):
            time = datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
        else:
            return None
    except (ValueError, OverflowError, OSError):
        return None
    return time if time >= _EARLIEST else None
