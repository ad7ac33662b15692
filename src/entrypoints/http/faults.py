"""All faults of a decoded value at once: the place of each, and what is needed there, in words."""

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime
from functools import cache
from itertools import islice
from typing import Annotated, Any

import msgspec
from msgspec import inspect

from tallystick.entrypoints.http.refusals import MAX_FAULTS, Fault
from tallystick.entrypoints.http.rules import keeps_rules
from tallystick.entrypoints.http.words import alternatives, needs, rule_of, takes_null

_Time = Annotated[datetime, msgspec.Meta(tz=True)]
_NAME = re.compile(r"[a-z][A-Za-z_]{0,63}\Z")
"""An unknown field's name is repeated only if it looks like a name: a mistaken key can be an address or a code."""
_MOST_NAMES = 20


def faults_of(value: object, expected: Any) -> list[Fault]:
    """Return the faults of a decoded value against the expected type, at most a hundred."""
    return list(islice(_walk(type_info(expected), value, ""), MAX_FAULTS))


def is_right(value: object, kind: inspect.Type) -> bool:
    """Return whether a decoded value is of a kind."""
    return next(_walk(kind, value, ""), None) is None


@cache
def type_info(expected: Any) -> inspect.Type:
    """Return how msgspec describes a type."""
    return inspect.type_info(expected)


def _walk(kind: inspect.Type, value: object, pointer: str) -> Iterator[Fault]:
    match kind:
        case inspect.Metadata():
            yield from _walk_ruled(kind, value, pointer)
        case inspect.UnionType():
            yield from _walk_union(kind, value, pointer)
        case inspect.StructType() if isinstance(value, Mapping):
            yield from _walk_members(kind, value, pointer)
        case inspect.ListType() if isinstance(value, list) and _has_length(kind, value):
            for number, item in enumerate(value):
                if not _is_good_struct(kind.item_type, item):
                    yield from _walk(kind.item_type, item, f"{pointer}/{number}")
        case inspect.DictType() if isinstance(value, Mapping) and _has_length(kind, value):
            yield from _walk_named(kind, value, pointer)
        case _ if not _LEAVES[type(kind)](kind, value):
            yield _fault(kind, pointer)


def _is_good_struct(kind: inspect.Type, value: object) -> bool:
    """Return whether a value is a struct without a fault, by msgspec's C code: of a thousand events most are good."""
    if not isinstance(kind, inspect.StructType):
        return False
    try:
        return keeps_rules(msgspec.convert(value, kind.cls), kind.cls)
    except msgspec.ValidationError:
        return False


def _walk_ruled(kind: inspect.Metadata, value: object, pointer: str) -> Iterator[Fault]:
    rule = rule_of(kind)
    if rule is None:
        yield from _walk(kind.type, value, pointer)
    elif not (is_right(value, kind.type) and rule.holds(_converted(kind.type, value))):
        yield _fault(kind, pointer)


def _walk_union(kind: inspect.UnionType, value: object, pointer: str) -> Iterator[Fault]:
    if value is None and takes_null(kind):
        return
    kinds = alternatives(kind)
    deep = [each for each in kinds if isinstance(each, inspect.StructType | inspect.ListType)]
    if len(kinds) == 1 and deep and isinstance(value, Mapping | list):
        yield from _walk(deep[0], value, pointer)
    elif not any(is_right(value, each) for each in kinds):
        yield _fault(kind, pointer)


def _walk_members(kind: inspect.StructType, value: Mapping[str, object], pointer: str) -> Iterator[Fault]:
    fields = {field.encode_name: field for field in kind.fields}
    for name, field in fields.items():
        if name in value:
            yield from _walk(field.type, value[name], f"{pointer}/{name}")
        elif field.required:
            yield Fault.at(f"{pointer}/{name}", f"this field is missing: {needs(field.type)} is needed")
    if kind.forbid_unknown_fields:
        for name in value:
            if name not in fields:
                yield _unknown(name, fields, pointer)


def _walk_named(kind: inspect.DictType, value: Mapping[str, object], pointer: str) -> Iterator[Fault]:
    for name, member in value.items():
        if is_right(name, kind.key_type):
            yield from _walk(kind.value_type, member, f"{pointer}/{name}")
        else:
            yield Fault.at(pointer, f"a field has the wrong name: {needs(kind.key_type)} is needed")


def _unknown(name: str, known: Collection[str], pointer: str) -> Fault:
    names = ", ".join(islice(known, _MOST_NAMES)) or "none"
    if _NAME.match(name):
        return Fault.at(f"{pointer}/{name}", f"this field is not known here; known are: {names}")
    return Fault.at(pointer, f"a field whose name is not repeated is not known here; known are: {names}")


def _fault(kind: inspect.Type, pointer: str) -> Fault:
    return Fault.at(pointer, f"{needs(kind)} is needed")


def _has_length(
    kind: inspect.ListType | inspect.DictType | inspect.StrType, value: list[object] | Mapping[str, object] | str
) -> bool:
    least, most = kind.min_length or 0, kind.max_length
    return least <= len(value) and (most is None or len(value) <= most)


def _is_text(kind: inspect.StrType, value: object) -> bool:
    if not isinstance(value, str) or not _has_length(kind, value):
        return False
    return kind.pattern is None or re.search(kind.pattern, value) is not None


def _is_integer(kind: inspect.IntType, value: object) -> bool:
    if not isinstance(value, int) or isinstance(value, bool):
        return False
    return (kind.ge is None or value >= kind.ge) and (kind.le is None or value <= kind.le)


def _converted(kind: inspect.Type, value: object) -> Any:
    """Return a value as rules expect it: times are converted."""
    if not isinstance(kind, inspect.DateTimeType):
        return value
    try:
        return msgspec.convert(value, _Time)
    except msgspec.ValidationError:
        return None


_LEAVES: Mapping[type[inspect.Type], Callable[[Any, object], bool]] = {
    inspect.StrType: _is_text,
    inspect.IntType: _is_integer,
    inspect.BoolType: lambda _kind, value: isinstance(value, bool),
    inspect.LiteralType: lambda kind, value: isinstance(value, str) and value in kind.values,
    inspect.DateTimeType: lambda kind, value: _converted(kind, value) is not None,
    inspect.CustomType: lambda _kind, _value: True,
    inspect.NoneType: lambda _kind, value: value is None,
    inspect.StructType: lambda _kind, _value: False,
    inspect.ListType: lambda _kind, _value: False,
    inspect.DictType: lambda _kind, _value: False,
}
"""Whether a value is of a kind. A struct, list or dict kind comes here only for a value that is none."""
