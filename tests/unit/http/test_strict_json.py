"""Strict JSON: the bodies that are refused, and that no body makes Python work for each of its values."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json

from tallystick.entrypoints.http.refusals import InvalidRequest
from tallystick.entrypoints.http.strict_json import MAX_DIGITS, MAX_NESTING, MAX_VALUES, parse

MIB = 1024 * 1024
MOST_CALLS = 100


def filled(unit: bytes, opening: bytes = b"[", size: int = MIB) -> bytes:
    """Return a list of about a mebibyte that repeats a unit."""
    return opening + unit * ((size - len(opening) - 2) // len(unit)) + b"0]"


def deep(size: int, inner: bytes = b"") -> bytes:
    return b"[" * size + inner + b"]" * size


REFUSED = {
    "no JSON": b"{",
    "nothing": b"",
    "two documents": b"{}{}",
    "a comma too many": b"[1,]",
    "a backslash outside of strings": b'{\\"a":1}',
    "a control character in a string": b'["\x01"]',
    "a raw line break in a string": b'["\n"]',
    "an escape that is none": b'["\\x"]',
    "not UTF-8": b'["\xff"]',
    "an overlong form": b'["\xc0\x80"]',
    "a raw surrogate": b'["\xed\xa0\x80"]',
    "half a surrogate pair": b'["\\ud800"]',
    "a pair in the wrong order": b'["\\udc00\\ud800"]',
    "NUL": b'["\\u0000"]',
    "NUL behind a backslash": b'["\\\\\\u0000"]',
    "NUL in a key": b'{"\\u0000":1}',
    "NaN": b"[NaN]",
    "Infinity": b"[-Infinity]",
    "a number past every double": b"[1e999]",
    "a number past every double, small": b"[-1e999]",
    "a key twice": b'{"a":1,"a":1}',
    "a key twice by an escape": b'{"a":1,"\\u0061":2}',
    "a key twice inside": deep(20, b'{"a":1,"a":1}'),
    "a key twice in the last of many": filled(b'{"a":1},', b"[", 8 * 1000).replace(b"0]", b'{"b":1,"b":2}]'),
    "a key twice beside a long number": b'[{"a":' + b"9" * 200 + b',"a":1}]',
    "an empty key twice": b'[{"":1,"":1}]',
    "a key of quotes twice": b'[{"\\"":1,"\\u0022":1}]',
    "a key of backslashes twice": b'[{"\\\\":1,"\\u005c":1}]',
    "a key of brackets twice": b'[{"{:[":1,"{:[":1}]',
    "one level too deep": deep(MAX_NESTING + 1),
    "deep objects": b'{"a":' * 33 + b"1" + b"}" * 33,
    "depth beside breadth": b"[" + b"[]," * 100 + deep(MAX_NESTING) + b"]",
    "depth that never ends": b"[" * 1000,
    "one value too many": b"[" + b"1," * MAX_VALUES + b"1]",
    "one text too many": b"[" + b'"",' * MAX_VALUES + b'""]',
    "one digit too many": b"[" + b"9" * (MAX_DIGITS + 1) + b"]",
    "one digit too many of a fraction": b"[0." + b"9" * (MAX_DIGITS + 1) + b"]",
}
TAKEN: dict[str, tuple[bytes, Any]] = {
    "white space": (b" {\t}\r\n", {}),
    "the deepest": (deep(MAX_NESTING), json.decode(deep(MAX_NESTING))),
    "two keys that differ": (b'{"a":1,"A":2}', {"a": 1, "A": 2}),
    "one key in two objects": (b'[{"a":1},{"a":1}]', [{"a": 1}, {"a": 1}]),
    "colons in texts": (b'[{"a":":,{["},{":":"}]"}]', [{"a": ":,{["}, {":": "}]"}]),
    "quotes and backslashes": (b'[{"\\\\":"\\"","\\"":"\\\\"}]', [{"\\": '"', '"': "\\"}]),
    "the letters of an escaped NUL": (b'["\\\\u0000"]', ["\\u0000"]),
    "a surrogate pair": (b'["\\ud83c\\udf81"]', ["\U0001f381"]),
    "the longest number": (b"[" + b"9" * MAX_DIGITS + b"]", [int("9" * MAX_DIGITS)]),
    "the most values": (b"[" + b"1," * (MAX_VALUES - 2) + b"1]", [1] * (MAX_VALUES - 1)),
}
HEAVY = {
    "the attack": filled(b"{},", b'["\\u0041",'),
    "objects": filled(b'{"a":1},'),
    "numbers": filled(b"1,"),
    "texts": filled(b'"",'),
    "quotes": b'["' + b'\\"' * (MIB // 2 - 2) + b'"]',
    "backslashes": b'["' + b"\\\\" * (MIB // 2 - 2) + b'"]',
    "escapes": b'["' + b"\\u0041" * (MIB // 6) + b'"]',
    "depth": deep(MIB // 2),
    "digits": filled(b"9" * 4000 + b","),
    "as many values as may be": b"[" + b'{"\\u0061":"x"},' * (MAX_VALUES // 2 - 1) + b"1]",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_body_that_is_not_strict_is_refused(name: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(REFUSED[name])

    (fault,) = refused.value.errors
    assert (fault.where, fault.pointer) == ("body", "")


@pytest.mark.parametrize("name", TAKEN)
def test_a_body_that_is_strict_is_accepted(name: str) -> None:
    body, expected = TAKEN[name]

    assert parse(body) == expected


@pytest.mark.parametrize("name", HEAVY)
def test_no_body_makes_python_work_for_each_of_its_values(name: str) -> None:
    with calls_counted() as calls, suppress(InvalidRequest):
        parse(HEAVY[name])

    assert len(calls) < MOST_CALLS


@contextmanager
def calls_counted() -> Iterator[list[str]]:
    """Count the calls of Python and C functions meanwhile."""
    calls: list[str] = []

    def count(_frame: FrameType, event: str, _argument: object) -> None:
        if event in {"call", "c_call"}:
            calls.append(event)

    sys.setprofile(count)
    try:
        yield calls
    finally:
        sys.setprofile(None)


KEYS = st.text(alphabet='a"\\:{[,é\u2028', max_size=3)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | KEYS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_every_value_comes_back_as_it_was(value: Any) -> None:
    body = json.encode(value)

    assert json.encode(parse(body)) == body


@given(st.lists(st.tuples(KEYS, VALUES), min_size=1, max_size=5), st.integers(0, 4), st.booleans())
def test_a_key_that_comes_twice_is_always_found(members: list[tuple[str, Any]], place: int, is_escaped: bool) -> None:
    names = [json.encode(name) for name, _ in dict(members).items()]
    again = b'"' + b"".join(b"\\u%04x" % ord(each) for each in json.decode(names[0])) + b'"' if is_escaped else names[0]
    values = [json.encode(value) for value in dict(members).values()]
    pairs = [name + b":" + value for name, value in zip(names, values, strict=True)]
    pairs.insert(min(place, len(pairs)), again + b":1")

    with pytest.raises(InvalidRequest):
        parse(b"[{" + b",".join(pairs) + b"}]")
