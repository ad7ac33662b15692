"""Bodies of identity providers: the provider, the event, the user, and what the body states and proves."""

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Literal, assert_never

import msgspec
from msgspec import UNSET

from tallystick.adapters.webhooks.members import Fields, is_named, member
from tallystick.adapters.webhooks.times import read_time
from tallystick.adapters.webhooks.trust import TRUST, Proof, Provider, Source
from tallystick.domain.identity_events import EventKind, IdentityEvent
from tallystick.domain.usernames import username_form
from tallystick.domain.users import (
    MAX_NAME_LENGTH,
    MAX_PHONE_LENGTH,
    UNIQUE_FIELDS,
    Profile,
    ProfileField,
    UserId,
    is_email,
    is_plain,
    is_user_id,
)

_KINDS: Mapping[str, EventKind] = {
    "user.created": "created",
    "user.updated": "updated",
    "user.deleted": "deleted",
}
_ROW_KINDS: Mapping[str, EventKind] = {"INSERT": "created", "UPDATE": "updated", "DELETE": "deleted"}
_AUTH0_PREFIX = "com.auth0."
_ABOUT_USERS = re.compile(r"(?:^|[./:])users?[^a-z]?(?:created?|updated?|deleted?)\Z", re.IGNORECASE)
"""Other spellings of the types that are understood."""
_ROW_MEMBERS = frozenset({"record", "old_record", "table"})
_CLERK_MEMBERS = frozenset({"email_addresses", "phone_numbers", "primary_email_address_id", "primary_phone_number_id"})
_STACK_AUTH_MEMBERS = frozenset({"primary_email", "primary_email_verified", "signed_up_at_millis"})
_CLOCKS_APART = timedelta(days=1)
"""How far a provider's clock may be ahead of ours before its times count as times in the future."""


class UnknownShape(Exception):
    """A JSON body that cannot be read; the message says what to send."""


class Envelope(msgspec.Struct, frozen=True):
    """The delivery of a body: its id, and the times when it was sent and received."""

    delivery_id: str
    sent_at: datetime | None
    """None for a body without a signature, because nothing proves its time."""
    received_at: datetime


class _Subject(msgspec.Struct, frozen=True):
    """The user that a body is about, as one provider writes it."""

    provider: Provider
    kind: EventKind
    user: Fields
    sent_at: object = None
    """The body's own time of the event, as it was written."""


def read_event(body: object, envelope: Envelope) -> IdentityEvent | Literal["ignored"]:
    """Return the event of a provider's body; UnknownShape says why there is none.

    Fields that are not valid (a malformed address, a name that is too long) are left out, and the rest is read.
    """
    if not isinstance(body, dict):
        raise UnknownShape("the body has to be a JSON object, as in docs/webhooks.md")
    subject = _row_of_supabase(body, envelope) if _is_row(body) else _subject(body)
    return "ignored" if subject is None else _event(subject, envelope)


def _is_row(body: Fields) -> bool:
    """Return whether a body is about a row of a table. A body with an event of a user never is."""
    return not _ROW_MEMBERS.isdisjoint(body) and _plain_kind(body.get("type")) not in _KINDS


def _plain_kind(kind: object) -> str:
    return kind.removeprefix(_AUTH0_PREFIX) if isinstance(kind, str) else ""


def _subject(body: Fields) -> _Subject | None:
    kind, data = body.get("type"), body.get("data")
    if not isinstance(kind, str):
        raise UnknownShape("type has to be a text such as user.created")
    plain_kind = _plain_kind(kind)
    if plain_kind not in _KINDS:
        if _ABOUT_USERS.search("".join(kind.split())):
            raise UnknownShape("this type is not understood; send user.created, user.updated or user.deleted")
        return None
    if not isinstance(data, dict):
        raise UnknownShape("data has to be an object with the user's id")
    if kind != plain_kind or "specversion" in body:
        user = data.get("object")
        if not isinstance(user, dict):
            raise UnknownShape("data.object has to be the user, as Auth0's event streams send it")
        return _Subject("auth0", _KINDS[plain_kind], user, body.get("time"))
    if _CLERK_MEMBERS & data.keys():
        return _Subject("clerk", _KINDS[kind], data, body.get("timestamp"))
    if _STACK_AUTH_MEMBERS & data.keys():
        return _Subject("stack_auth", _KINDS[kind], data, body.get("timestamp"))
    return _Subject("plain", _KINDS[kind], data, body.get("timestamp"))


def _row_of_supabase(body: Fields, envelope: Envelope) -> _Subject | None:
    kind, schema, table = body.get("type"), body.get("schema"), body.get("table")
    if not isinstance(schema, str) or not isinstance(table, str):
        raise UnknownShape("schema and table have to say which table the row is of, as Supabase's webhook sends them")
    if (schema, table) != ("auth", "users"):
        return None
    if not isinstance(kind, str):
        raise UnknownShape("type has to be INSERT, UPDATE or DELETE")
    if kind not in _ROW_KINDS:
        if kind.upper() in _ROW_KINDS:
            raise UnknownShape("type has to be INSERT, UPDATE or DELETE, in capitals")
        return None
    name = "old_record" if kind == "DELETE" else "record"
    row = body.get(name)
    if not isinstance(row, dict):
        raise UnknownShape(f"{name} has to be the row of auth.users")
    deleted_at = read_time(row.get("deleted_at"))
    is_deleted = deleted_at is not None and _has_come(deleted_at, envelope)
    return _Subject("supabase", "deleted" if is_deleted else _ROW_KINDS[kind], row)


def _event(subject: _Subject, envelope: Envelope) -> IdentityEvent:
    user_id = subject.user.get("id", subject.user.get("user_id"))
    if not is_user_id(user_id):
        raise UnknownShape("the user's id has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -")
    changed_at = _changed_at(subject)
    sent_at = envelope.sent_at or changed_at or envelope.received_at
    values, clears, proved = _read_profile(subject, envelope)
    return IdentityEvent(
        delivery_id=envelope.delivery_id,
        kind=subject.kind,
        user_id=UserId(str(user_id)),
        # The clock of a provider may run ahead: that must not make every later event look old.
        occurred_at=min(changed_at or sent_at, envelope.received_at),
        sent_at=min(sent_at, envelope.received_at),
        received_at=envelope.received_at,
        profile=Profile(**values),
        clears=frozenset(clears),
        proves=frozenset(claim for claim in UNIQUE_FIELDS if claim in proved),
        phone_confirmed=_is_phone_confirmed(subject, proved, envelope),
    )


def _changed_at(subject: _Subject) -> datetime | None:
    trust = TRUST[subject.provider]
    paths = trust.updated_at + (trust.created_at if subject.kind == "created" else ())
    times = (*(member(subject.user, path) for path in paths), subject.sent_at)
    return next(filter(None, map(read_time, times)), None)


def _read_profile(
    subject: _Subject, envelope: Envelope
) -> tuple[dict[ProfileField, str], set[ProfileField], set[ProfileField]]:
    """Return the values, the fields to clear where they have no value, and the fields that are proved."""
    values = dict[ProfileField, str]()
    clears, proved = set[ProfileField](), set[ProfileField]()
    if subject.kind == "deleted":
        return values, clears, proved
    provider = TRUST[subject.provider]
    for field, trust in provider.fields.items():
        fit = _FIT[field]
        is_emptied = trust.is_cleared_when_absent and (
            provider.omits_removed_values or any(is_named(subject.user, each.member) for each in trust.sources)
        )
        for source in trust.sources:
            written = member(subject.user, source.member)
            if written is None or written == "":
                is_emptied = True
            elif (value := fit(written)) is not None:
                values[field] = value
                if source.is_kept_unique or _is_proved(subject.user, source, envelope):
                    proved.add(field)
                break
        if is_emptied:
            clears.add(field)
    return values, clears, proved


def _is_phone_confirmed(subject: _Subject, proved: set[ProfileField], envelope: Envelope) -> bool:
    """Return whether the phone was verified; a part of a user need not repeat the number."""
    trust = TRUST[subject.provider]
    if trust.is_full_state or "phone" in proved:
        return "phone" in proved
    return any(
        member(subject.user, source.member) is UNSET and _is_proved(subject.user, source, envelope)
        for source in trust.fields["phone"].sources
    )


def _is_proved(user: Fields, source: Source, envelope: Envelope) -> bool:
    return any(_holds(proof, member(user, proof.member), envelope) for proof in source.proofs)


def _holds(proof: Proof, value: object, envelope: Envelope) -> bool:
    match proof.says:
        case "true":
            return value is True
        case "verified":
            return value == "verified"
        case "time":
            time = read_time(value)
            return time is not None and _has_come(time, envelope)
        case _:
            assert_never(proof.says)


def _has_come(time: datetime, envelope: Envelope) -> bool:
    return time <= envelope.received_at + _CLOCKS_APART


def _email(value: object) -> str | None:
    return value if isinstance(value, str) and is_email(value) else None


def _name(value: object) -> str | None:
    name = value.strip() if isinstance(value, str) else ""
    return name if is_plain(name, longest=MAX_NAME_LENGTH) else None


def _username(value: object) -> str | None:
    return username_form(value) if isinstance(value, str) else None


def _display_name(value: object) -> str | None:
    """Return a name that may be shown: some providers call users by their e-mail address."""
    name = _name(value)
    return name if name is not None and not is_email(name) else None


def _phone(value: object) -> str | None:
    return value if isinstance(value, str) and is_plain(value, longest=MAX_PHONE_LENGTH) else None


_FIT: Mapping[ProfileField, Callable[[object], str | None]] = {
    "email": _email,
    "username": _username,
    "display_name": _display_name,
    "phone": _phone,
}
"""The function that converts a provider's value for a field; it returns None for an unusable value."""
