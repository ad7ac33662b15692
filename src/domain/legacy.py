"""Legacy records: users of another system, each checked before it is used."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias, get_args

from tallystick.domain.codes import Code, normal_form
from tallystick.domain.ledger import MAX_BALANCE, Event
from tallystick.domain.times import in_utc
from tallystick.domain.usernames import username_form
from tallystick.domain.users import MAX_NAME_LENGTH, UserId, is_email, is_phone, is_plain, is_user_id

CodeState = Literal["missing", "empty", "formless", "changed", "kept"]
"""A legacy code is absent, empty or blank, without a normal form, different from its normal form, or equal to it.

A user with one of the first three has no code.
"""

Column = Literal[
    "user_id",
    "code",
    "created_at",
    "email",
    "username",
    "display_name",
    "phone",
    "phone_verified",
    "referred_by",
    "points",
    "deleted_at",
]
COLUMNS: tuple[Column, ...] = get_args(Column)
"""The columns of a source; only the first is required."""

Value: TypeAlias = object
"""The value of a field, of any type."""

IMPORTED_POINTS = Event("backfill", "points")
"""The event of imported points: each user has it at most once."""

ABSENT_WORDS: tuple[str, ...] = (
    "NULL",
    "NIL",
    "NONE",
    "UNDEFINED",
    "NAN",
    "N/A",
    "#N/A",
    "(NULL)",
    "<NULL>",
    "[NULL]",
    "\\N",
)
"""Words that exports write into fields without a value, compared without case and surrounding white space."""

_TRUE, _FALSE = frozenset({"true", "t", "yes", "1"}), frozenset({"false", "f", "no", "0", ""})
_LONGEST_REFERENCE = 256
_PADDING = 8
"""The most white space around a word that is ignored."""
_MOST_BITS = 1024
"""The bound of a number that is read as a text."""


class MalformedRecord(Exception):
    """A record that cannot be read; the message says why, and repeats nothing of the record."""


class LegacyRecord(NamedTuple):
    """One checked line about one user."""

    line: int
    user_id: UserId
    code_state: CodeState
    code: Code | None
    """The code in normal form, if there is one."""
    created_at: datetime | None
    email: str | None
    username: str | None
    display_name: str | None
    phone: str | None
    phone_verified: bool
    referred_by: str | None
    """A code or a user id, as the source writes it."""
    referred_code: Code | None
    """The normal form of `referred_by`, if it has one."""
    points: int | None
    is_deleted: bool
    left_out: int
    """How many fields of the profile could not be used."""
    absent_words: tuple[str, ...] = ()
    """The words for an absent value that the fields held, as the source writes them."""


class AbsentWords:
    """The words that mean "no value" in the fields of a source, compared without regard to case."""

    def __init__(self, words: Collection[str]) -> None:
        self._words = frozenset(word.strip().upper() for word in words if word.strip())
        self._longest = max(map(len, self._words), default=0)

    def contains(self, value: Value) -> bool:
        """Return whether a field holds one of the words."""
        # Most values are longer than every word, and are not copied.
        return (
            isinstance(value, str) and len(value) <= self._longest + _PADDING and value.strip().upper() in self._words
        )

    def split(self, fields: Mapping[str, Value]) -> tuple[Mapping[str, Value], tuple[str, ...]]:
        """Return the fields with a value, and the words that the other fields held."""
        found = {name: value for name, value in fields.items() if self.contains(value)}
        if not found:
            return fields, ()
        rest = {name: value for name, value in fields.items() if name not in found}
        return rest, tuple(str(word).strip() for word in found.values())


NO_WORDS = AbsentWords(())


def read_record(line: int, fields: Mapping[str, Value], absent: AbsentWords = NO_WORDS) -> LegacyRecord:
    """Check the fields of a user. MalformedRecord names the field that cannot be used.

    A field that holds a word for "no value" counts as missing. A fault in an e-mail address, a name or a phone number
    drops that field and never the code.
    """
    fields, absent_words = absent.split(fields)
    user_id = _text(fields, "user_id")
    if user_id is None or not is_user_id(user_id):
        raise MalformedRecord("user_id has to be 1 to 128 of A-Z a-z 0-9 _ . : | @ -")
    code_state, code = _code(_text(fields, "code"))
    referred_by = (_text(fields, "referred_by") or "").strip() or None
    if referred_by is not None and len(referred_by) > _LONGEST_REFERENCE:
        raise MalformedRecord(f"referred_by has to be a code or a user id, of at most {_LONGEST_REFERENCE} characters")
    email, username = _text(fields, "email") or None, _text(fields, "username") or None
    display_name, phone = _text(fields, "display_name") or None, _text(fields, "phone") or None
    usable = (
        email if email is not None and is_email(email) else None,
        username_form(username) if username is not None else None,
        display_name if display_name is not None and is_plain(display_name, longest=MAX_NAME_LENGTH) else None,
        phone if phone is not None and is_phone(phone) else None,
    )
    given = (email, username, display_name, phone)
    return LegacyRecord(
        line,
        UserId(user_id),
        code_state,
        code,
        _time(fields, "created_at"),
        *usable,
        _truth(fields, "phone_verified"),
        referred_by,
        normal_form(referred_by) if referred_by is not None else None,
        _points(fields),
        _time(fields, "deleted_at") is not None,
        usable.count(None) - given.count(None),
        absent_words,
    )


def _code(text: str | None) -> tuple[CodeState, Code | None]:
    if text is None:
        return "missing", None
    if not text.strip():
        return "empty", None
    code = normal_form(text)
    if code is None:
        return "formless", None
    return ("kept" if code == text else "changed"), code


def _text(fields: Mapping[str, Value], name: Column) -> str | None:
    value = fields.get(name)
    if value is None or isinstance(value, str):
        if value and "\x00" in value:
            raise MalformedRecord(f"{name} holds a NUL character")
        return value
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= _MOST_BITS:
        return str(value)  # numeric ids and codes are numbers in some exports
    raise MalformedRecord(f"{name} has to be a text or a whole number")


def _time(fields: Mapping[str, Value], name: Column) -> datetime | None:
    value = fields.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        time = None
    if isinstance(time, datetime):
        in_bounds = in_utc(time.replace(tzinfo=UTC) if time.tzinfo is None else time)  # without an offset it is UTC
        if in_bounds is not None:
            return in_bounds
    raise MalformedRecord(f"{name} has to be a time as in 2024-05-31T08:30:00Z")


def _truth(fields: Mapping[str, Value], name: Column) -> bool:
    value = fields.get(name)
    if value is None or value in (0, 1):
        return bool(value)
    word = value.strip().lower() if isinstance(value, str) else None
    if word not in _TRUE | _FALSE:
        raise MalformedRecord(f"{name} has to be true or false")
    return word in _TRUE


def _points(fields: Mapping[str, Value]) -> int | None:
    text = (_text(fields, "points") or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(MAX_BALANCE)) or int(text) > MAX_BALANCE:
        raise MalformedRecord(f"points has to be a whole number from 0 to {MAX_BALANCE}")
    return int(text) or None
