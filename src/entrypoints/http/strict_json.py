"""Strict JSON: the cost of a body is bounded before it is decoded, without Python code for each value."""

from itertools import chain

import msgspec

from tallystick.entrypoints.http.refusals import InvalidRequest

MAX_NESTING = 32
MAX_VALUES = 7_000
"""The most values of one body, containers included; a batch of a thousand events has six thousand."""
MAX_DIGITS = 256
"""The most digits of one number: decoding d digits takes time proportional to d squared."""

_MAX_QUOTES = 2 * 2 * MAX_VALUES
"""A value has a key and may be a text."""

_TOO_MANY_VALUES = f"it has more than {MAX_VALUES:,} values"
_AS_BRACKETS = bytes.maketrans(b"{}", b"[]")
_AS_ZEROS = bytes.maketrans(b"123456789", b"000000000")
_TOO_MANY_DIGITS = b"0" * (MAX_DIGITS + 1)
_ALL_BUT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def parse(body: bytes) -> object:
    """Return strict JSON: UTF-8, no key twice, no NUL, no half characters, no NaN, bounded in nesting and nodes.

    `msgspec` decodes. Its further rules are checked by counting in the text, by C code alone.
    """
    text = _without_escaped_quotes(body)
    structure = _without_strings(text)
    opened = structure.count(b"{") + structure.count(b"[")
    if structure.count(b",") + opened > MAX_VALUES:
        raise InvalidRequest.at("", _TOO_MANY_VALUES)
    if len(structure) > MAX_DIGITS and _TOO_MANY_DIGITS in structure.translate(_AS_ZEROS):
        raise InvalidRequest.at("", f"a number in it has more than {MAX_DIGITS} digits")
    if opened > MAX_NESTING and _is_too_deep(structure):
        raise InvalidRequest.at("", f"it is nested more than {MAX_NESTING} deep")
    try:
        value: object = msgspec.json.decode(body)
    except UnicodeDecodeError:
        raise InvalidRequest.at("", "it is not UTF-8") from None
    except (msgspec.DecodeError, RecursionError):
        raise InvalidRequest.at("", "it is not valid JSON") from None
    members = structure.count(b":")
    if members > 1 and _members(value) != members:
        raise InvalidRequest.at("", "an object has the same key twice")
    if b"\\u0000" in text:
        raise InvalidRequest.at("", "it holds NUL")
    return value


def _without_escaped_quotes(body: bytes) -> bytes:
    """Return the body without escaped quotes and backslashes, so that every quote begins or ends a string."""
    return body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body


def _without_strings(text: bytes) -> bytes:
    """Return the text outside of strings. For a body that is not JSON, the result is not JSON either."""
    if text.count(b'"') > _MAX_QUOTES:
        raise InvalidRequest.at("", _TOO_MANY_VALUES)
    return b"".join(text.split(b'"')[::2])


def _is_too_deep(structure: bytes) -> bool:
    """Return whether brackets remain after the innermost pairs were removed `MAX_NESTING` times."""
    brackets = structure.translate(_AS_BRACKETS, _ALL_BUT_BRACKETS)
    for _ in range(MAX_NESTING):
        brackets = brackets.replace(b"[]", b"")
        if not brackets:
            return False
    return b"[" in brackets


def _members(value: object) -> int:
    """Return how many members the objects of a value have. A duplicate key was decoded to one member."""
    count, level = 0, [value]
    while level:
        objects = [each for each in level if each.__class__ is dict]
        lists = [each for each in level if each.__class__ is list]
        count += sum(map(len, objects))
        inner = chain(chain.from_iterable(map(dict.values, objects)), chain.from_iterable(lists))
        level = [each for each in inner if each.__class__ is dict or each.__class__ is list]
    return count
