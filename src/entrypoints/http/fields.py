"""The types of fields and parameters: for each kind of value its bounds, its rule, and the rule in words."""

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, NamedTuple

import msgspec

from tallystick.domain.channels import CHANNEL_NAME_RULE, MAX_CHANNEL_NAME_LENGTH, is_channel_name
from tallystick.domain.codes import normal_form
from tallystick.domain.ledger import MAX_AMOUNT, OWN_EVENTS
from tallystick.domain.overlays import MAX_PAYLOAD_BYTES
from tallystick.domain.rewards import MAX_REWARD_DESCRIPTION_LENGTH, MAX_REWARD_NAME_LENGTH
from tallystick.domain.times import BOUNDS, in_utc
from tallystick.domain.usernames import USERNAME_RULE, username_form
from tallystick.domain.users import (
    MAX_EMAIL_LENGTH,
    MAX_NAME_LENGTH,
    MAX_PHONE_LENGTH,
    MAX_USER_ID_LENGTH,
    is_email,
    is_phone,
    is_plain,
    is_user_id,
)

MAX_REASON_LENGTH = 500
MAX_EVENT_KEY_LENGTH = 200
MAX_EVENT_TYPE_LENGTH = 64
_EVENT_TYPE = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")


_ROOM_ID = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9_.:-]{1,128}\Z")
"""Clients replace the parts `.` and `..` of a path before they send it."""
_ROLE_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")
_TIME_NEEDS = f"a time with its zone, such as 2030-01-31T12:00:00Z, {BOUNDS},"
_VISIBLE = re.compile(r"[!-~]{1,128}\Z")


class Rule(NamedTuple):
    """A condition on a value that its type cannot express."""

    holds: Callable[[Any], bool]
    needs: str
    """The requirement in words, as in "... is needed"; never a pattern."""


def rule(holds: Callable[[Any], bool], needs: str) -> dict[str, Rule]:
    """Return a rule as `msgspec.Meta(extra=...)` carries it."""
    return {"rule": Rule(holds, needs)}


def _plain(longest: int) -> dict[str, Rule]:
    return rule(
        lambda text: is_plain(text, longest=longest), f"a text of 1 to {longest} characters, none a control character,"
    )


def _is_event_type(text: str) -> bool:
    return _EVENT_TYPE.match(text) is not None


Amount = Annotated[int, msgspec.Meta(ge=1, le=MAX_AMOUNT)]
UserIdText = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_USER_ID_LENGTH,
        extra=rule(is_user_id, f"a user id of 1 to {MAX_USER_ID_LENGTH} letters (A to Z), digits and _ . : | @ -"),
    ),
]
RewardIdText = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Reason = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_REASON_LENGTH, extra=_plain(MAX_REASON_LENGTH))]
EventName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_EVENT_KEY_LENGTH, extra=_plain(MAX_EVENT_KEY_LENGTH))
]
EventType = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_EVENT_TYPE_LENGTH,
        extra=rule(_is_event_type, "an event type of 1 to 64 small letters, digits and _, a letter first,"),
    ),
]
ForeignEventType = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_EVENT_TYPE_LENGTH,
        extra=rule(
            lambda text: _is_event_type(text) and text not in OWN_EVENTS,
            "an event type of 1 to 64 small letters, digits and _, a letter first, and none of those that other "
            f"routes count ({', '.join(sorted(OWN_EVENTS))}),",
        ),
    ),
]
Email = Annotated[
    str,
    msgspec.Meta(
        min_length=3,
        max_length=MAX_EMAIL_LENGTH,
        pattern=r"^[^\s@]+@[^\s@]+$",
        extra=rule(is_email, f"an e-mail address of at most {MAX_EMAIL_LENGTH} characters"),
    ),
]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_LENGTH, extra=_plain(MAX_NAME_LENGTH))]
Username = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        extra=rule(lambda text: username_form(text) is not None, f"{USERNAME_RULE},"),
    ),
]
Phone = Annotated[
    str,
    msgspec.Meta(
        max_length=MAX_PHONE_LENGTH,
        pattern=r"^\+?[0-9 ().-]{3,31}$",
        extra=rule(is_phone, "a phone number of at least 3 digits, with spaces, brackets, dots or hyphens between,"),
    ),
]
TypedCode = Annotated[str, msgspec.Meta(max_length=1024)]
"""A code as a user typed it. A text without a normal form is a code that does not exist."""
ChosenCode = Annotated[
    str,
    msgspec.Meta(
        max_length=1024,
        extra=rule(
            lambda text: normal_form(text) is not None,
            "a code of 4 to 32 digits and letters (A to Z), without regard to hyphens and spaces,",
        ),
    ),
]
Time = Annotated[
    datetime,
    msgspec.Meta(
        tz=True,
        extra=rule(
            lambda time: in_utc(time) is not None,
            _TIME_NEEDS,
        ),
    ),
]
TimeText = Annotated[
    str,
    msgspec.Meta(
        max_length=64,
        extra=rule(
            lambda text: time_of(text) is not None,
            _TIME_NEEDS,
        ),
    ),
]
"""A time as a parameter of a query holds it."""
ChannelIdText = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
ChannelName = Annotated[
    str,
    msgspec.Meta(
        min_length=1, max_length=MAX_CHANNEL_NAME_LENGTH, extra=rule(is_channel_name, f"{CHANNEL_NAME_RULE},")
    ),
]
ClientMessageId = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=128,
        extra=rule(lambda text: _VISIBLE.match(text) is not None, "an id of 1 to 128 visible ASCII characters"),
    ),
]
RoomIdText = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=128,
        extra=rule(
            lambda text: _ROOM_ID.match(text) is not None,
            "an id of 1 to 128 letters (A to Z), digits and _ . : -, other than . and ..,",
        ),
    ),
]
OverlayPayload = Annotated[
    object,
    msgspec.Meta(
        extra=rule(
            lambda value: value is not None and len(msgspec.json.encode(value)) <= MAX_PAYLOAD_BYTES,
            f"a JSON value other than null, of at most {MAX_PAYLOAD_BYTES:,} bytes without spaces,",
        ),
    ),
]
RoleNameText = Annotated[
    str,
    msgspec.Meta(
        min_length=1,
        max_length=64,
        extra=rule(
            lambda text: _ROLE_NAME.match(text) is not None,
            "the name of a role of 1 to 64 letters (A to Z), digits, hyphens and underscores",
        ),
    ),
]
RewardName = Annotated[
    str, msgspec.Meta(min_length=1, max_length=MAX_REWARD_NAME_LENGTH, extra=_plain(MAX_REWARD_NAME_LENGTH))
]
RewardDescription = Annotated[str, msgspec.Meta(max_length=MAX_REWARD_DESCRIPTION_LENGTH)]


def time_of(text: str) -> datetime | None:
    """Return the time that a text gives, in UTC; None where it is none, has no zone, or is out of bounds."""
    try:
        return in_utc(msgspec.convert(text, datetime, strict=False))
    except msgspec.ValidationError:
        return None
