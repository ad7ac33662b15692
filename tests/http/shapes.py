"""Shapes of JSON values in an OpenAPI document, brought to one form, so that two documents can be compared."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tests.http.openapi_document import found

Schema = Mapping[str, Any]

LOWER, UPPER = (
    ("minLength", "minimum", "minItems", "minProperties"),
    ("maxLength", "maximum", "maxItems", "maxProperties"),
)
_ANY = frozenset({"string", "integer", "number", "boolean", "object", "array", "null"})


class Shape(NamedTuple):
    """The values that a schema allows: all its alternatives as one."""

    types: frozenset[str]
    values: frozenset[str] | None = None
    """The texts that are allowed; None for any."""
    members: Mapping[str, "list[Schema]"] = {}
    """The schemas of each member: one for each alternative that has it."""
    required: frozenset[str] = frozenset()
    items: "tuple[Schema, ...]" = ()
    bounds: Mapping[str, float] = {}
    pattern: str | None = None


def shape_of(document: dict[str, Any], schemas: Iterable[Schema]) -> Shape:
    """Return the shape of a value that fits one of some schemas."""
    plain = [alternative for schema in schemas for alternative in _alternatives(document, dict(schema))]
    objects = [each for each in plain if "object" in _types(each)]
    texts = [each for each in plain if "string" in _types(each)]
    members: dict[str, list[Schema]] = {}
    for each in objects:
        for name, member in each.get("properties", {}).items():
            members.setdefault(name, []).append(member)
    values = [_values(each) for each in texts]
    return Shape(
        types=frozenset(kind for each in plain for kind in _types(each)),
        values=None if None in values or not values else frozenset(value for each in values for value in each or ()),
        members=members,
        required=frozenset.intersection(*(frozenset(each.get("required", ())) for each in objects))
        if objects
        else frozenset(),
        items=tuple(each["items"] for each in plain if "items" in each),
        bounds=_bounds(plain),
        pattern=next((each["pattern"] for each in texts if "pattern" in each), None),
    )


def _alternatives(document: dict[str, Any], schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the schemas that a value can fit, without references and without parts."""
    schema = found(document, schema)
    if "allOf" in schema:
        whole: dict[str, Any] = {key: value for key, value in schema.items() if key != "allOf"}
        for part in (found(document, each) for each in schema["allOf"]):
            members = {**whole.get("properties", {}), **part.get("properties", {})}
            required = [*whole.get("required", ()), *part.get("required", ())]
            whole = {**whole, **part, "properties": members, "required": required}
        return [whole]
    given = [*schema.get("oneOf", ()), *schema.get("anyOf", ())]
    if not given:
        return [schema]
    outside = {key: value for key, value in schema.items() if key in {*LOWER, *UPPER, "pattern", "format"}}
    found_in = [each for alternative in given for each in _alternatives(document, alternative)]
    return [each if each.get("type") == "null" else {**outside, **each} for each in found_in]


def _types(schema: Schema) -> frozenset[str]:
    given = schema.get("type")
    if given is None:
        return frozenset({"object"}) if "properties" in schema else frozenset({"string"}) if _values(schema) else _ANY
    return frozenset({given}) if isinstance(given, str) else frozenset(given)


def _values(schema: Schema) -> frozenset[str] | None:
    if "const" in schema:
        return frozenset({str(schema["const"])})
    return frozenset(str(value) for value in schema["enum"] if value is not None) if "enum" in schema else None


def _bounds(schemas: Iterable[Schema]) -> dict[str, float]:
    """Return the widest bounds; an alternative without a bound has none."""
    bounded = [schema for schema in schemas if _types(schema) != {"null"}]
    kept = {name for name in (*LOWER, *UPPER) if bounded and all(name in each for each in bounded)}
    return {name: (min if name in LOWER else max)(each[name] for each in bounded) for name in kept}
