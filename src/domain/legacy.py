"""Legacy records: what another system knows of its users, read one by one and without trust."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Literal, NamedTuple, TypeAlias, get_args

from tallystick.domain.codes import Code, normal_form
from tallystick.domain.ledger import MAX_BALANCE, Event
from tallystick.domain.times import in_utc
from tallystick.domain.usernames import username_form
from tallystick.domain.users import MAX_NAME_LENGTH, UserId, is_email, is_phone, is_plain, is_user_id

CodeState = Literal["missing", "empty", "formless", "changed", "kept"]
"""What a legacy code is: none; an empty or blank text; one without a normal form; another one in normal form; as it is.

Who has one of the first three has no code.
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
"""What a source may tell about a user; all but the first may be missing."""

Value: TypeAlias = object
"""Whatever stands in a field."""

BROUGHT_POINTS = Event("backfill", "points")
"""What brings points along: once for each user, whatever is imported later."""

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
"""What exports write into a field that has no value. Case and surrounding white space do not matter."""

_TRUE, _FALSE = frozenset({"true", "t", "yes", "1"}), frozenset({"false", "f", "no", "0", ""})
_LONGEST_REFERENCE = 256
_PADDING = 8
"""White space around a word that is still taken for it."""
_MOST_BITS = 1024
"""Of a number that is read as a text; the texts are shorter by far."""


class MalformedRecord(Exception):
    """A record that cannot be read; the message says what is wrong, and repeats nothing of it."""


class LegacyRecord(NamedTuple):
    """One line about one user, checked."""

    line: int
    user_id: UserId
    code_state: CodeState
    code: Code | None
    """In normal form; None where there is none."""
    created_at: datetime | None
    email: str | None
    username: str | None
    display_name: str | None
    phone: str | None
    phone_verified: bool
    referred_by: str | None
    """A code or a user id, as it was written."""
    referred_code: Code | None
    """Its normal form, where it could be a code."""
    points: int | None
    is_deleted: bool
    left_out: int
    """How many fields of the profile could not be used."""
    absent_words: tuple[str, ...] = ()
    """The words for an absent value that stood in the fields, as they were written."""


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
        """Return the fields that have a value, and the words that stood in the others."""
        found = {name: value for name, value in fields.items() if self.contains(value)}
        if not found:
            return fields, ()
        rest = {name: value for name, value in fields.items() if name not in found}
        return rest, tuple(str(word).strip() for word in found.values())


NO_WORDS = AbsentWords(())


def read_record(line: int, fields: Mapping[str, Value], absent: AbsentWords = NO_WORDS) -> LegacyRecord:
    """Check what a source says about a user. MalformedRecord names the field that cannot be used.

    A field that holds a word for "no value" counts as missing. What is wrong with an e-mail address, a name or a phone
    number costs the user that field, never the code.
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
