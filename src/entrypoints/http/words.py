"""Kinds of values in words, for faults that say which value is needed."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import inspect

from tallystick.entrypoints.http.fields import Rule

TIME_WORDS = "a time with its zone, such as 2030-01-31T12:00:00Z,"


def needs(kind: inspect.Type) -> str:
    """Return a kind of value in words, as in "... is needed"."""
    rule = rule_of(kind)
    return rule.needs if rule is not None else _WORDS[type(kind)](kind)


def rule_of(kind: inspect.Type) -> Rule | None:
    """Return the rule of a kind; None if it has none."""
    return (kind.extra or {}).get("rule") if isinstance(kind, inspect.Metadata) else None


def alternatives(kind: inspect.UnionType) -> list[inspect.Type]:
    """Return the kinds that a value can have, without null."""
    return [each for each in kind.types if not isinstance(each, inspect.NoneType)]


def takes_null(kind: inspect.UnionType) -> bool:
    """Return whether null is allowed."""
    return any(isinstance(each, inspect.NoneType) for each in kind.types)


def _union(kind: inspect.UnionType) -> str:
    words = [needs(each).removesuffix(",") for each in alternatives(kind)]
    return ", ".join(words) + (", or null," if takes_null(kind) else "")


def _integer(kind: inspect.IntType) -> str:
    least, most = kind.ge, kind.le
    if least is None:
        return "an integer" if most is None else f"an integer of at most {most:,}"
    return f"an integer of at least {least:,}" if most is None else f"an integer from {least:,} to {most:,}"


def _long(what: str, kind: inspect.StrType | inspect.ListType | inspect.DictType, parts: str) -> str:
    least, most = kind.min_length, kind.max_length
    if least is None:
        return what if most is None else f"{what} of at most {most:,} {parts}"
    return f"{what} of at least {least:,} {parts}" if most is None else f"{what} of {least:,} to {most:,} {parts}"


_WORDS: Mapping[type[inspect.Type], Callable[[Any], str]] = {
    inspect.Metadata: lambda kind: needs(kind.type),
    inspect.UnionType: _union,
    inspect.IntType: _integer,
    inspect.StrType: lambda kind: _long("a text", kind, "characters"),
    inspect.ListType: lambda kind: _long("a list", kind, "values"),
    inspect.DictType: lambda kind: _long("a JSON object", kind, "fields"),
    inspect.LiteralType: lambda kind: f"one of {', '.join(map(str, kind.values))}",
    inspect.BoolType: lambda _kind: "true or false",
    inspect.DateTimeType: lambda _kind: TIME_WORDS,
    inspect.StructType: lambda _kind: "a JSON object",
}
