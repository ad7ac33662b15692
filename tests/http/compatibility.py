"""Breaking changes between two OpenAPI documents, and whether a changelog names them."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

from tests.http.openapi_document import operations
from tests.http.shapes import LOWER, Schema, Shape, shape_of

Direction = Literal["request", "reply"]
Document = dict[str, Any]


class Break(NamedTuple):
    """A change that a client notices which was generated from the older document."""

    route: str
    """Method and path."""
    subject: str
    """The parameter, the member or the status; empty for the whole operation."""
    change: str

    def __str__(self) -> str:
        return f"{self.route}{f' {self.subject}' if self.subject else ''}: {self.change}"

    def is_named_by(self, changelog: str) -> bool:
        """Return whether one item of a changelog names the route and the subject, each in backticks."""
        names = [f"`{self.route}`", *([f"`{self.subject}`"] if self.subject else [])]
        return any(all(name in item for name in names) for item in _items(changelog))


def breaks(old: Document, new: Document) -> list[Break]:
    """Return every breaking change, each once."""
    now = {(method, path): operation for method, path, operation in operations(new)}
    found: list[Break] = []
    for method, path, before in operations(old):
        route = f"{method} {path}"
        if (method, path) not in now:
            found.append(Break(route, "", "the operation is gone"))
        else:
            comparison = _Comparison(route, old, new)
            found += comparison.operation(before, now[method, path])
    return list(dict.fromkeys(found))


def unreleased(changelog: str) -> str:
    """Return the part of a changelog about changes since the last release."""
    return re.split(r"^## ", changelog, flags=re.MULTILINE)[1]


def _items(changelog: str) -> list[str]:
    return [" ".join(item.split()) for item in re.split(r"^- ", changelog, flags=re.MULTILINE)]


class _Comparison:
    """Compares one operation in two documents."""

    def __init__(self, route: str, old: Document, new: Document) -> None:
        self._route, self._old, self._new = route, old, new

    def operation(self, before: Document, after: Document) -> Iterator[Break]:
        yield from self._parameters(before, after)
        yield from self._body(before, after)
        yield from self._replies(before, after)

    def _parameters(self, before: Document, after: Document) -> Iterator[Break]:
        known = {each["name"]: each for each in before.get("parameters", ())}
        now = {each["name"]: each for each in after.get("parameters", ())}
        for name in known.keys() - now.keys():
            yield Break(self._route, name, "the parameter is gone")
        for name, parameter in now.items():
            if parameter.get("required") and not known.get(name, {}).get("required"):
                yield Break(self._route, name, "the parameter is required")
            if name in known:
                before_it, after_it = (_sent(each["schema"]) for each in (known[name], parameter))
                yield from self._values("request", name, [before_it], [after_it])

    def _body(self, before: Document, after: Document) -> Iterator[Break]:
        known, now = _content(before.get("requestBody")), _content(after.get("requestBody"))
        if now is None:
            if known is not None:
                yield Break(self._route, "body", "the body is gone")
        elif known is None:
            if after["requestBody"].get("required"):
                yield Break(self._route, "body", "a body is required")
        else:
            if after["requestBody"].get("required") and not before["requestBody"].get("required"):
                yield Break(self._route, "body", "the body is required")
            yield from self._values("request", "body", [known], [now])

    def _replies(self, before: Document, after: Document) -> Iterator[Break]:
        for status, reply in before["responses"].items():
            if status not in after["responses"]:
                yield Break(self._route, status, "the status is gone")
                continue
            known, now = _content(reply), _content(after["responses"][status])
            if known is not None and now is None:
                yield Break(self._route, status, "the JSON of the reply is gone")
            elif known is not None and now is not None:
                yield from self._values("reply", status, [known], [now])

    def _values(
        self, direction: Direction, subject: str, before: Sequence[Schema], after: Sequence[Schema]
    ) -> Iterator[Break]:
        known, now = shape_of(self._old, before), shape_of(self._new, after)
        is_sound = _covers(now, known) if direction == "request" else _covers(known, now)
        if not is_sound:
            yield Break(self._route, subject, f"its values are others in the {direction}")
        if direction == "request":
            yield from self._bounds(subject, known, now)
        yield from self._members(direction, known, now)
        if known.items and now.items:
            yield from self._values(direction, subject, known.items, now.items)

    def _bounds(self, subject: str, known: Shape, now: Shape) -> Iterator[Break]:
        for name, bound in now.bounds.items():
            before = known.bounds.get(name)
            is_narrower = before is None or (bound > before if name in LOWER else bound < before)
            if is_narrower and not (before is None and name in LOWER and bound == 0):
                yield Break(self._route, subject, f"{name} is {bound:g}")
        if now.pattern is not None and now.pattern != known.pattern:
            yield Break(self._route, subject, "the pattern is another")

    def _members(self, direction: Direction, known: Shape, now: Shape) -> Iterator[Break]:
        for name in sorted(known.members.keys() - now.members.keys()):
            yield Break(self._route, name, f"the member of the {direction} is gone")
        if direction == "request":
            for name in sorted(now.required - known.required):
                yield Break(self._route, name, "the member of the request is required")
        else:
            for name in sorted((known.required - now.required) & now.members.keys()):
                yield Break(self._route, name, "the member of the reply may be absent")
        for name in sorted(known.members.keys() & now.members.keys()):
            yield from self._values(direction, name, known.members[name], now.members[name])


def _covers(wider: Shape, narrower: Shape) -> bool:
    """Return whether a shape has every type and every text of another one; every integer is a number."""
    types = wider.types | ({"integer"} if "number" in wider.types else set())
    if not narrower.types <= types:
        return False
    return wider.values is None or (narrower.values is not None and narrower.values <= wider.values)


def _sent(schema: Schema) -> Schema:
    """Return the schema of a parameter without null, which no path, query or header can hold."""
    for alternatives in ("oneOf", "anyOf"):
        given = [each for each in schema.get(alternatives, ()) if each.get("type") != "null"]
        if given:
            outside = {key: value for key, value in schema.items() if key != alternatives}
            return {**outside, alternatives: given}
    if isinstance(schema.get("type"), list):
        return {**schema, "type": [each for each in schema["type"] if each != "null"]}
    return schema


def _content(part: Document | None) -> Schema | None:
    """Return the schema of the JSON of a body or a reply; None where there is none."""
    content: dict[str, Any] = (part or {}).get("content", {})
    schema: Schema | None = content.get("application/json", {}).get("schema")
    return schema
