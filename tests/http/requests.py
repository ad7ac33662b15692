"""The routes of the OpenAPI document, and values that their requests must not hold."""

from collections.abc import Iterator
from typing import Any, NamedTuple, get_args

from tallystick.domain.identity import Permission
from tests.http.openapi_document import operations as documented
from tests.http.services import Caller

SECRET = "S3cret.of.Ada"
"""Stands in wrong values, and so must stand in no message."""

UNGUARDED = {"/", "/healthz", "/readyz", "/metrics", "/r/{code}", "/api/referral/resolve"}
"""Probes, and pages that browsers open: their parameters are passed on or ignored."""

SIGNED = "/api/webhooks/auth"

IDS = {"kind": "codes", "name": "points_enabled"}
"""Path parameters that are no ids."""


class Operation(NamedTuple):
    """One method of one path."""

    method: str
    path: str
    described: dict[str, Any]
    schemas: dict[str, Any]

    @property
    def is_guarded(self) -> bool:
        return self.path not in UNGUARDED

    def parameters(self, where: str) -> list[str]:
        """Return the names of the parameters in a part of the request."""
        return [each["name"] for each in self.described.get("parameters", []) if each["in"] == where]

    def target(self, **given: str) -> str:
        """Return the path, with plausible ids where nothing else is given."""
        names = self.parameters("path")
        return self.path.format(**{name: IDS.get(name, "ada") for name in names} | given)

    def body(self) -> dict[str, Any] | None:
        """Return the schema of the body; None where there is none, or a signature is checked before it."""
        if self.path == SIGNED:
            return None
        content = self.described.get("requestBody", {}).get("content", {})
        return self.resolved(content["application/json"]["schema"]) if content else None

    def empty(self) -> dict[str, Any] | None:
        """Return an object without members, where there is a body."""
        return {} if self.body() is not None else None

    def resolved(self, schema: dict[str, Any]) -> dict[str, Any]:
        """Return a schema without references, and without null among its alternatives."""
        if "$ref" in schema:
            return self.resolved(self.schemas[schema["$ref"].rpartition("/")[2]])
        for alternatives in (schema.get("oneOf"), schema.get("anyOf")):
            if alternatives is not None:
                (only,) = [each for each in alternatives if each != {"type": "null"}]
                return self.resolved(only)
        return schema


async def operations(anyone: Caller) -> list[Operation]:
    """Return every operation of the document."""
    document = (await anyone.get("/schema/openapi.json")).json()
    schemas = document["components"]["schemas"]
    return [Operation(method, path, described, schemas) for method, path, described in documented(document)]


def almighty(anyone: Caller, name: str = "ada") -> Caller:
    """Return a caller with every permission."""
    return anyone.named(name, *get_args(Permission))


def takes_null(schema: dict[str, Any]) -> bool:
    """Return whether a value may be null."""
    kinds = [schema, *schema.get("oneOf", []), *schema.get("anyOf", [])]
    return any(
        "null" in ([each["type"]] if isinstance(each.get("type"), str) else each.get("type", [])) for each in kinds
    )


def wrong_values(operation: Operation, schema: dict[str, Any]) -> Iterator[Any]:
    """Yield values that a field must not hold."""
    if not takes_null(schema):
        yield None
    plain = operation.resolved(schema)
    if not plain.keys() & {"type", "oneOf", "anyOf", "allOf", "enum"}:
        return  # any value but null
    kinds = plain.get("type")
    kind = kinds if isinstance(kinds, str) else next(each for each in kinds or ["object"] if each != "null")
    yield {SECRET: 1}
    if kind == "integer":
        yield from (SECRET, 1.5, True, [1], 10**30)
        yield from (plain[name] + change for name, change in (("minimum", -1), ("maximum", 1)) if name in plain)
    elif kind == "boolean":
        yield from (SECRET, 0, 1, [])
    elif kind == "string":
        yield from (7, True, [SECRET])
        yield from ["".join([SECRET] * plain["maxLength"])] if "maxLength" in plain else []
        yield from [""] if plain.get("minLength", 0) else []
        if plain.get("format") == "date-time":
            yield from (SECRET, "2030-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
    elif kind == "array":
        yield from (SECRET, 7, [{}] * 1001)
        yield from [[]] if plain.get("minItems", 0) else []
