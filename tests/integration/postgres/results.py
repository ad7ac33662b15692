"""The columns that the header of a statement promises, and those that PostgreSQL says it returns."""

import builtins
import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from types import ModuleType, NoneType, UnionType
from typing import Literal, NamedTuple, NewType, Union, get_args, get_origin, get_type_hints

import asyncpg
import msgspec

import tallystick.adapters.postgres
import tallystick.application
import tallystick.domain

_LOADS = re.compile(r'Statements\.load\("(\w+)"\)')
_TYPES: dict[str, object] = {
    "text": str,
    "name": str,
    "int4": int,
    "int8": int,
    "bool": bool,
    "timestamptz": datetime,
    "bytea": bytes,
    "text[]": list[str],
    "int8[]": list[int],
}
"""Which Python type asyncpg returns for each type of PostgreSQL that a statement may return."""


class Column(NamedTuple):
    """A column of a result, by the Python type of its values; NULL is left out of the type."""

    name: str
    kind: object


class Field(NamedTuple):
    """A field of a struct that holds one column."""

    column: Column
    is_required: bool


def returned(attributes: Sequence[asyncpg.Attribute]) -> list[Column]:
    """Return the columns of a prepared statement; functions that return nothing have a column of type void."""
    return [Column(each.name, _TYPES[each.type.name]) for each in attributes if each.type.name != "void"]


def promised(result: str, capability: str, found: Sequence[Column]) -> list[Column]:
    """Return the columns that a header promises, with what it leaves open as it was found.

    A header promises nothing, names the columns in parentheses, names a struct whose fields are the columns in order,
    or names the type of the only column. Columns of a struct may be missing at the end, where fields have defaults.
    """
    if result == "nothing":
        return []
    if result.startswith("("):
        names = result.strip("()").split(", ")
        return [Column(name, found[place].kind if place < len(found) else None) for place, name in enumerate(names)]
    named = _named(result, loaders()[capability])
    if not _is_struct(named):
        return [Column(found[0].name if found else "", _plain(named))]
    fields = list(_fields(named))
    required = sum(1 for field in fields if field.is_required)
    return [field.column for field in fields[: max(required, len(found))]]


def loaders() -> dict[str, ModuleType]:
    """Return the modules that load statements, by the name of the file."""
    return {
        capability: module
        for module in _modules(tallystick.adapters.postgres)
        for capability in _LOADS.findall(inspect.getsource(module))
    }


def _modules(package: ModuleType) -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        yield importlib.import_module(found.name)


def _named(name: str, loader: ModuleType) -> object:
    """Return what a name stands for where the statements are loaded, else in the one module of the core that has it."""
    if (known := vars(loader).get(name, getattr(builtins, name, None))) is not None:
        return known
    if name == "datetime":
        return datetime
    meanings = {
        id(vars(module)[name]): vars(module)[name]
        for package in (tallystick.domain, tallystick.application)
        for module in _modules(package)
        if name in vars(module)
    }
    assert len(meanings) == 1, f"{name} stands for {len(meanings)} things"
    return next(iter(meanings.values()))


def _is_struct(annotation: object) -> bool:
    return inspect.isclass(annotation) and (
        issubclass(annotation, msgspec.Struct) or (issubclass(annotation, tuple) and hasattr(annotation, "_fields"))
    )


def _fields(struct: object, *, is_optional: bool = False) -> Iterator[Field]:
    """Yield the fields of a struct; those of a struct in it take its place, each name once."""
    assert inspect.isclass(struct)
    types = get_type_hints(struct)
    if issubclass(struct, msgspec.Struct):
        required = {field.name: field.required for field in msgspec.structs.fields(struct)}
    else:
        required = {name: name not in vars(struct)["_field_defaults"] for name in vars(struct)["_fields"]}
    seen = set[str]()
    for name, is_required in required.items():
        annotation = _without_none(types[name])
        fields = (
            list(_fields(annotation))
            if _is_struct(annotation)
            else [Field(Column(name, _plain(annotation)), is_required)]
        )
        for field in fields:
            if field.column.name not in seen:
                seen.add(field.column.name)
                yield field


def _without_none(annotation: object) -> object:
    if get_origin(annotation) in {Union, UnionType}:
        kinds = [each for each in get_args(annotation) if each is not NoneType]
        assert len(kinds) == 1, annotation
        return kinds[0]
    return annotation


def _plain(annotation: object) -> object:
    """Return the type of values that asyncpg returns for an annotation."""
    annotation = _without_none(annotation)
    if isinstance(annotation, NewType):
        return _plain(annotation.__supertype__)
    if get_origin(annotation) is Literal:
        return type(get_args(annotation)[0])
    if get_origin(annotation) is list:
        return list[_plain(get_args(annotation)[0])]  # type: ignore[misc]  # a type that is made at run time
    return str if inspect.isclass(annotation) and issubclass(annotation, str) else annotation
