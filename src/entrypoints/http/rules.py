"""Checks of the rules of converted values. Parts of a type without a rule are not visited."""

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from msgspec import UNSET, inspect

from tallystick.entrypoints.http.words import alternatives, rule_of

Check = Callable[[Any], bool]


def keeps_rules(value: object, expected: Any) -> bool:
    """Return whether a value fulfils the rules of the type that it was converted to."""
    check = _check(expected)
    return check is None or check(value)


@cache
def _check(expected: Any) -> Check | None:
    return _check_of(inspect.type_info(expected))


def _check_of(kind: inspect.Type) -> Check | None:
    """Return the check of the rules of a kind of value; None if the kind has no rule."""
    rule = rule_of(kind)
    if rule is not None:
        return rule.holds
    make = _CHECKS.get(type(kind))
    return make(kind) if make is not None else None


def _of_union(kind: inspect.UnionType) -> Check | None:
    checks = [check for check in map(_check_of, alternatives(kind)) if check is not None]
    if not checks:
        return None
    (check,) = checks  # with two ruled kinds in a union, the kind of a value would be ambiguous
    return lambda value: value is None or check(value)


def _of_list(kind: inspect.ListType) -> Check | None:
    check = _check_of(kind.item_type)
    return None if check is None else lambda values: all(map(check, values))


def _of_dict(kind: inspect.DictType) -> Check | None:
    of_name, of_value = _check_of(kind.key_type), _check_of(kind.value_type)
    if of_name is None and of_value is None:
        return None
    return lambda members: all(
        (of_name is None or of_name(name)) and (of_value is None or of_value(value)) for name, value in members.items()
    )


def _of_struct(kind: inspect.StructType) -> Check | None:
    checks = [(field.name, _check_of(field.type)) for field in kind.fields]
    asked = [(name, check) for name, check in checks if check is not None]
    if not asked:
        return None

    def holds(value: object) -> bool:
        for name, check in asked:
            member = getattr(value, name)
            if member is not UNSET and not check(member):
                return False
        return True

    return holds


_CHECKS: Mapping[type[inspect.Type], Callable[[Any], Check | None]] = {
    inspect.Metadata: lambda kind: _check_of(kind.type),
    inspect.UnionType: _of_union,
    inspect.ListType: _of_list,
    inspect.DictType: _of_dict,
    inspect.StructType: _of_struct,
}
