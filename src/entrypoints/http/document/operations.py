"""Operations of the document: each route with its words, its parameters, its body, its replies and an example."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from tallystick.entrypoints.http.authentication import PUBLIC, STREAM
from tallystick.entrypoints.http.caller_guard import PERMISSION, PERMISSION_FOR_OTHERS
from tallystick.entrypoints.http.document.descriptions import paragraphs, summary
from tallystick.entrypoints.http.document.documented_routes import (
    DOCUMENTED_BODY,
    DOCUMENTED_REPLY,
    JSON,
    REPLY_HEADERS,
    DocumentedRoute,
)
from tallystick.entrypoints.http.document.examples import Example, examples
from tallystick.entrypoints.http.document.failures import failures_of, takes_key
from tallystick.entrypoints.http.document.headers import header_references
from tallystick.entrypoints.http.document.problem_schemas import ProblemReplies
from tallystick.entrypoints.http.document.schemas import Schema, Schemas
from tallystick.entrypoints.http.document.vocabulary import VOCABULARY
from tallystick.entrypoints.http.parameters import PARAMETERS

Operation = dict[str, Any]

_STREAM_SECURITY: Sequence[Schema] = [{"bearer": []}, {"session": []}, {"stream": []}]
_WEBHOOK_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")


class Operations:
    """Renders operations, and collects the components that they refer to."""

    def __init__(self, schemas: Schemas, problems: ProblemReplies) -> None:
        self._schemas, self._problems = schemas, problems

    def of(self, route: DocumentedRoute) -> Operation:
        """Return the operation of a route."""
        about, example = paragraphs(route.docstring), examples().get(route.name)
        operation: Operation = {
            "operationId": route.name,
            "tags": list(route.tags),
            "summary": summary(about),
            "description": about,
            "parameters": list(self._parameters(route, example)),
            "responses": self._responses(route, example),
        }
        if route.body is not None:
            operation["requestBody"] = self._body(route, example)
        operation |= _access(route, about)
        if route.limit_group is not None:
            operation["x-limit-group"] = route.limit_group
        return operation

    def _parameters(self, route: DocumentedRoute, example: Example | None) -> Iterator[Schema]:
        shape = route.shape
        for name in sorted(shape.path):
            yield self._parameter(route, name, "path", required=True) | _shown(example, "path", name)
        for name in sorted(shape.query):
            parameter = self._parameter(route, name, "query", required=name in shape.required)
            schema = {"type": "string"} if name in shape.texts else parameter["schema"]
            if name in shape.repeated:
                schema = {"type": "array", "items": schema, "minItems": 1, "maxItems": shape.repeated[name]}
            default = route.defaults.get(name)
            stated = {"default": default} if default not in {None, ""} and isinstance(default, int | str) else {}
            yield {**parameter, "schema": {**schema, **stated}} | _shown(example, "query", name)
        for name in _request_headers(route):
            yield {"$ref": f"#/components/parameters/{name}"}

    def _parameter(self, route: DocumentedRoute, name: str, place: str, *, required: bool) -> Schema:
        schema = self._schemas.of(PARAMETERS[name])
        own = route.query[name].description if name in route.query else None
        said = " ".join(filter(None, (own or VOCABULARY[name], schema.pop("description", ""))))
        return {"name": name, "in": place, "required": required, "description": said, "schema": schema}

    def _body(self, route: DocumentedRoute, example: Example | None) -> Schema:
        kinds = route.body if isinstance(route.body, tuple) else (route.body,)
        schemas = [self._schemas.of(kind) for kind in kinds]
        content = {"schema": schemas[0] if len(schemas) == 1 else {"anyOf": schemas}} | _named_example(
            "request", example and example.body
        )
        return {"required": route.is_body_required, "content": {JSON: content}}

    def _responses(self, route: DocumentedRoute, example: Example | None) -> Schema:
        problems = self._problems.of(set(failures_of(route)))
        others = {str(status): self._other(*reply) for status, reply in route.other_replies.items()}
        for status in others.keys() & problems.keys():
            others[status] = self._merged(others[status], problems[status])
        success = {str(route.success_status): self._success(route, example)}
        return dict(sorted((problems | others | success).items()))

    def _success(self, route: DocumentedRoute, example: Example | None) -> Schema:
        headers = {"X-Correlation-Id", "Cache-Control", *route.options.get(REPLY_HEADERS, ())}
        if route.limit_group is not None:
            headers |= {"RateLimit", "RateLimit-Policy"}
        if takes_key(route):
            headers.add("Idempotency-Hit")
        reply: Schema = {"headers": header_references(headers)}
        shown = _named_example("reply", example and example.reply)
        if STREAM in route.options and example is not None:  # one example for each event
            shown = {"examples": {each["event"]: {"value": each} for each in example.reply}}
        if route.reply is not None:
            schema = self._schemas.of(route.reply)
            described = self._schemas.components[schema["$ref"].rpartition("/")[2]]["description"]
            return {
                "description": described.partition("\n")[0],
                **reply,
                "content": {JSON: {"schema": schema, **shown}},
            }
        media_types: Mapping[str, Any] = route.options[DOCUMENTED_REPLY]
        if not media_types:
            return {"description": "A redirect without a body.", **reply}
        first = next(iter(media_types))
        content = {
            name: {"schema": self._schemas.of(kind), **(shown if name == first else {})}
            for name, kind in media_types.items()
        }
        return {"description": "Text, as its media type says.", **reply, "content": content}

    def _other(self, kind: Any, description: str) -> Schema:
        headers = header_references({"X-Correlation-Id", "Cache-Control"})
        return {"description": description, "headers": headers, "content": {JSON: {"schema": self._schemas.of(kind)}}}

    def _merged(self, reply: Schema, problem: Schema) -> Schema:
        """Return a reply that is either of its own or a problem."""
        if "$ref" in problem:
            problem = self._problems.components[problem["$ref"].rpartition("/")[2]]
        return {
            "description": f"{reply['description']}, {problem['description']}",
            "headers": {**reply["headers"], **problem["headers"]},
            "content": {**reply["content"], **problem["content"]},
        }


def _access(route: DocumentedRoute, about: str) -> Operation:
    """Return who may call an operation, in words and for machines."""
    options, access = route.options, Operation()
    if PUBLIC in options:
        access["security"] = []
    elif STREAM in options:
        access["security"] = _STREAM_SECURITY
    if PERMISSION in options:
        permission = options[PERMISSION]
        access |= {"x-permission": permission, "security": [{"bearer": [permission]}]}
        access["description"] = f"{about} Needs `{permission}`."
    if PERMISSION_FOR_OTHERS in options:
        access["x-permission-for-others"] = options[PERMISSION_FOR_OTHERS]
    return access


def _request_headers(route: DocumentedRoute) -> Iterator[str]:
    if takes_key(route):
        yield "Idempotency-Key"
    if STREAM in route.options:
        yield "Last-Event-ID"
    if DOCUMENTED_BODY in route.options:
        yield from _WEBHOOK_HEADERS


def _shown(example: Example | None, place: str, name: str) -> Schema:
    sent: Mapping[str, Any] = {} if example is None else example.path if place == "path" else example.query
    return {"example": sent[name]} if name in sent else {}


def _named_example(name: str, value: Any) -> Schema:
    return {} if value is None or value is msgspec.UNSET else {"examples": {name: {"value": value}}}
