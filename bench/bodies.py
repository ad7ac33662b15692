"""How long the worst bodies block the event loop: parsed as JSON, refused or decoded, with every fault listed."""

import contextlib
import json
from time import thread_time

import msgspec

from bench.report import Row, Say, row
from tallystick.entrypoints.http.bodies import MAX_BODY_BYTES, decode
from tallystick.entrypoints.http.refusals import InvalidRequest
from tallystick.entrypoints.http.routes.loyalty import AccrualEvents
from tallystick.entrypoints.http.routes.rewards import MAX_BATCH_BYTES
from tallystick.entrypoints.http.strict_json import MAX_DIGITS, MAX_VALUES

MOST_MILLISECONDS = {MAX_BATCH_BYTES: 15.0, MAX_BODY_BYTES: 2.0}
"""The time that a body of each size may take."""


class Effort(msgspec.Struct, frozen=True):
    """How many times each body is parsed."""

    rounds: int


FULL = Effort(15)
QUICK = Effort(5)


def measure(say: Say, effort: Effort) -> list[Row]:
    """Return a row for each size: the time of the slowest body, against the aim."""
    return [_worst(say, size, effort) for size in MOST_MILLISECONDS]


def _worst(say: Say, size: int, effort: Effort) -> Row:
    taken: dict[str, list[float]] = {}
    for name, body in bodies(size).items():
        say(f"bodies of {size:,} bytes: {name}")
        taken[name] = [_milliseconds(body) for _ in range(effort.rounds)]
    worst = max(taken, key=lambda name: min(taken[name]))
    most = MOST_MILLISECONDS[size]
    return row(
        f"the worst body of {size // 1024:,} KiB",
        "the time that it may take",
        [(milliseconds, most) for milliseconds in taken[worst]],
        unit="ms",
        at_most=1.0,
        note=f"of {len(taken)} kinds: {worst}",
    )


def _milliseconds(body: bytes) -> float:
    began = thread_time()
    with contextlib.suppress(InvalidRequest):
        decode(body, AccrualEvents)
    return (thread_time() - began) * 1000


def bodies(size: int) -> dict[str, bytes]:
    """Return bodies of a size, the worst of each kind."""
    event = {"player_id": "ada", "points": 1, "event_type": "promotion", "event_key": "e", "reason": "r" * 450}
    wrong = {"player_id": "", "points": 0, "event_type": "", "event_key": "", "more": 1}
    return {
        "objects": _filled(size, b'["\\u0041",', b"{},"),
        "numbers": _filled(size, b"[", b"1,"),
        "texts": _filled(size, b"[", b'"",'),
        "members": _filled(size, b"[", b'{"a":1},'),
        "quotes": _filled(size, b'["', b'\\"', b'"]'),
        "backslashes": _filled(size, b'["', b"\\\\", b'"]'),
        "escapes": _filled(size, b'["', b"\\u0041", b'"]'),
        "accents": _filled(size, b'["', "é".encode(), b'"]'),
        "depth": _filled(size, b"[", b"["),
        "white space": _filled(size, b"[", b" "),
        "long numbers": _filled(size, b"[", b"9" * MAX_DIGITS + b","),
        "the most members": _most_members(size),
        "a good batch": _batch(size, event),
        "a batch of faults": _batch(size, wrong),
        "a batch whose last event is wrong": _batch(size, event, wrong),
    }


def _filled(size: int, opening: bytes, unit: bytes, end: bytes = b"0]") -> bytes:
    return opening + unit * ((size - len(opening) - len(end)) // len(unit)) + end


def _most_members(size: int) -> bytes:
    count = MAX_VALUES // 2 - 1
    filling = b"x" * max(0, size // count - 20)
    return b"[" + b",".join([b'{"\\u0061":"%s"}' % filling] * count) + b"]"


def _batch(size: int, event: dict[str, object], last: dict[str, object] | None = None) -> bytes:
    count = min(1000, size // (len(json.dumps(event)) + 2)) - 1
    return json.dumps({"events": [*[event] * count, last or event]}).encode().ljust(size)
