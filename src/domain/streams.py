"""Streams: where a reader of topics stands, why the position no longer fits the log, and why a stream ends."""

import re
from typing import Literal, NamedTuple

from tallystick.domain.topics import LogExtent

MAX_TOPICS = 20
"""How many topics one stream reads at most."""

EndReason = Literal[
    "token_ended",
    "signed_out",
    "user_deleted",
    "removed",
    "draining",
    "busy",
    "too_many_streams",
    "aged",
    "restored",
    "client_left",
]
ResetReason = Literal["garbage", "ahead", "forked", "trimmed"]

_POSITION = re.compile(r"([0-9]{1,18})(?:-([0-9a-f]{8}))?\Z", re.ASCII)
_TAG_LENGTH = 8


_SPREAD = 0.1


class Position(NamedTuple):
    """The last event that a reader has: its number, and its tag where the reader knows it."""

    seq: int
    tag: str | None


def spread(seconds: float, fraction: float) -> float:
    """Return a time that is up to a tenth shorter or longer, by a random fraction: streams do not act all at once."""
    return seconds * (1 - _SPREAD + 2 * _SPREAD * fraction)


def lifetime(age_seconds: float, token_seconds: float | None) -> tuple[float, EndReason]:
    """Return after how many seconds a stream ends, and why: by its age, or with the token that opened it."""
    if token_seconds is not None and token_seconds < age_seconds:
        return token_seconds, "token_ended"
    return age_seconds, "aged"


def tag_of(event_id: str) -> str:
    """Return the part of an event's id that tells it from another event of the same number."""
    return event_id[-_TAG_LENGTH:]


def read_positions(text: str, count: int) -> list[Position | None]:
    """Return the positions of a stream's id, one for each of `count` topics; None for what is no position."""
    parts = text.split(",")
    if len(parts) != count:
        return [None] * count
    matches = (_POSITION.match(part) for part in parts)
    return [Position(int(match[1]), match[2]) if match is not None else None for match in matches]


def reset_reason(position: Position | None, log: LogExtent, tag: str | None) -> ResetReason | None:
    """Return why a reader cannot go on from a position; None where everything behind it can follow.

    `tag` is the one of the position's number; None where the log does not have it.
    """
    if position is None:
        return "garbage"
    if position.seq > log.head:
        return "ahead"
    if position.seq < log.trimmed:
        return "trimmed"
    if position.seq == 0 or position.tag is None:
        return None
    if tag is None:  # trimmed since the extent was read
        return "trimmed"
    return None if tag == position.tag else "forked"
