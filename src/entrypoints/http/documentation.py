"""The OpenAPI document, completed where the framework lacks facts, and its page, which loads no foreign file."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from litestar import Request, Router
from litestar.enums import HttpMethod
from litestar.handlers import HTTPRouteHandler
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import OpenAPIRenderPlugin
from litestar.routes import ASGIRoute, HTTPRoute
from litestar.static_files import create_static_files_router

from tallystick.application.idempotency import IdempotencyInProgress, IdempotencyMismatch
from tallystick.application.limit_groups import LIMIT_GROUPS, LimitGroup
from tallystick.application.ports import LimiterUnavailable
from tallystick.domain.bounds import BoundReached
from tallystick.domain.refusals import Failure, OutcomeUnknown, Overloaded, PermissionMissing, Unauthenticated
from tallystick.domain.tokens import IdentityKeysUnavailable
from tallystick.domain.users import UserDeleted
from tallystick.entrypoints.http.authentication import PUBLIC, SESSION_COOKIE, STREAM, STREAM_COOKIE
from tallystick.entrypoints.http.caller_guard import LIMIT, PERMISSION, PERMISSION_FOR_OTHERS, limit_group
from tallystick.entrypoints.http.parameters import KEYLESS
from tallystick.entrypoints.http.problems import FAILURES, PROBLEM_JSON, STATUS, Problem
from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation
from tallystick.entrypoints.http.refusals import (
    BodyTooLarge,
    BodyTooSlow,
    CsrfRefused,
    Fault,
    HeadersTooLarge,
    HeadTooSlow,
    InternalError,
    InvalidRequest,
    MalformedRequest,
    RateLimited,
    UnsupportedEncoding,
    UnsupportedMediaType,
    UriTooLong,
)

PATH = "/schema"
PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_ALWAYS: tuple[type[Failure], ...] = (
    *(InvalidRequest, MalformedRequest, HeadTooSlow, UriTooLong, HeadersTooLarge, Overloaded, InternalError),
)
_WITH_CALLER: tuple[type[Failure], ...] = (Unauthenticated, IdentityKeysUnavailable, UserDeleted)
_WITH_BODY: tuple[type[Failure], ...] = (
    *(BodyTooLarge, BodyTooSlow, UnsupportedMediaType, UnsupportedEncoding, InvalidRequest),
)
_WITH_KEY: tuple[type[Failure], ...] = (IdempotencyMismatch, IdempotencyInProgress, BoundReached)
_WITH_EFFECT: tuple[type[Failure], ...] = (OutcomeUnknown, CsrfRefused)
_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_REPEATABLE = frozenset({"DELETE"})
"""Idempotent methods without a body: they need no key."""
_KEY_PARAMETER = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Makes the request one that is answered once: the same key again gets the first answer again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
}

Operation = dict[str, Any]


class Document(OpenAPIRenderPlugin):
    """Serves the completed document."""

    def __init__(self) -> None:
        super().__init__(path="/openapi.json", media_type="application/json")  # type: ignore[arg-type]  # any text will do
        self._rendered: bytes | None = None

    def render(self, request: Request[Any, Any, Any], openapi_schema: dict[str, Any]) -> bytes:
        if self._rendered is None:
            handlers = {
                (route.path_format, str(method)): handler
                for route in request.app.routes
                if isinstance(route, HTTPRoute)
                for handler in route.route_handlers
                for method in handler.http_methods
            }
            raw = {
                route: route.route_handler.opt[OPERATION]
                for route in request.app.routes
                if isinstance(route, ASGIRoute) and OPERATION in route.route_handler.opt
            }
            self._rendered = msgspec.json.encode(completed(openapi_schema, handlers, raw))
        return self._rendered


class Page(OpenAPIRenderPlugin):
    """Serves Swagger UI from bundled files."""

    def __init__(self) -> None:
        super().__init__(path="/")
        self._html = (_assets() / "index.html").read_bytes()

    def render(self, _request: Request[Any, Any, Any], _openapi_schema: dict[str, Any]) -> bytes:
        return self._html


def openapi(version: str) -> tuple[OpenAPIConfig, Router]:
    """Return the configuration of the document and the router of the page's files."""
    policy = {"content-security-policy": PAGE_POLICY}
    config = OpenAPIConfig(
        title="Tallystick",
        version=version,
        description="Everything that an app hands out and must count exactly once.",
        use_handler_docstrings=True,
        operation_id_creator=_operation_id,
        render_plugins=[Document(), Page()],
        openapi_router=Router(
            PATH, route_handlers=[], opt={PUBLIC: True}, include_in_schema=False, response_headers=policy
        ),
    )
    assets = create_static_files_router(
        path=f"{PATH}/assets", directories=[_assets()], opt={PUBLIC: True}, include_in_schema=False
    )
    return config, assets


def completed(
    document: dict[str, Any],
    handlers: Mapping[tuple[str, str], HTTPRouteHandler],
    raw: Mapping[ASGIRoute, RawOperation],
) -> dict[str, Any]:
    """Return the document with problems, keys, security, closed bodies and the routes without a handler."""
    paths: dict[str, dict[str, Operation]] = document["paths"]
    schemas: dict[str, Any] = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = _problem_schema()
    document["components"]["securitySchemes"] = {
        "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "session": {"type": "apiKey", "in": "cookie", "name": SESSION_COOKIE},
        "stream": {"type": "apiKey", "in": "cookie", "name": STREAM_COOKIE},
    }
    document["security"] = [{"bearer": []}, {"session": []}]
    for (path, name), handler in handlers.items():
        operation = paths.get(path, {}).get(name.lower())
        if operation is not None:
            _complete_handled(operation, name, handler)
            for struct in _structs(handler.parsed_data_field.annotation if handler.parsed_data_field else None):
                if struct.__struct_config__.forbid_unknown_fields:
                    schemas[struct.__name__]["additionalProperties"] = False
    for route, each in raw.items():
        paths.setdefault(route.path_format, {})[each.method.lower()] = _raw_operation(route, each, schemas)
    return document


def _raw_operation(route: ASGIRoute, raw: RawOperation, schemas: dict[str, Any]) -> Operation:
    operation = msgspec.json.decode(msgspec.json.encode(raw.operation), type=Operation)
    operation.setdefault("parameters", []).extend(
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in route.path_parameters
    )
    if raw.answer is not None:
        operation["responses"][str(raw.success_status)]["content"] = _content(raw.answer, schemas)
    if raw.body is not None:
        operation["requestBody"] = {"required": True, "content": _content(raw.body, schemas)}
    options = route.route_handler.opt
    group = limit_group(raw.method, options)
    _complete(operation, raw.method, raw.failures, group=group, options=options, declared=[raw.success_status])
    return operation


def _content(struct: type[msgspec.Struct], schemas: dict[str, Any]) -> Operation:
    (reference,), components = msgspec.json.schema_components([struct], ref_template="#/components/schemas/{name}")
    for name, schema in components.items():
        schemas.setdefault(name, schema)
    return {"application/json": {"schema": reference}}


def _complete_handled(operation: Operation, method: str, handler: HTTPRouteHandler) -> None:
    is_counted = LIMIT in handler.opt or bool(handler.resolve_guards())
    group = limit_group(method, handler.opt) if is_counted else None
    failures = handler.opt.get(FAILURES, ())
    _complete(operation, method, failures, group=group, options=handler.opt, declared=handler.responses or ())
    field = handler.parsed_data_field
    if field is not None and field.is_optional:
        operation["requestBody"]["required"] = False


def _complete(
    operation: Operation,
    method: str,
    own: Sequence[type[Failure]],
    *,
    group: LimitGroup | None,
    options: Mapping[str, Any],
    declared: Collection[int],
) -> None:
    failures = [*_ALWAYS, *own]
    if group is not None:
        operation["x-limit-group"] = group
        failures += (RateLimited, LimiterUnavailable) if LIMIT_GROUPS[group].fails_closed else (RateLimited,)
    if PERMISSION_FOR_OTHERS in options:
        operation["x-permission-for-others"] = options[PERMISSION_FOR_OTHERS]
    is_public, permission = PUBLIC in options, options.get(PERMISSION)
    if permission is not None:
        operation["x-permission"] = permission
        failures.append(PermissionMissing)
        operation["description"] += f" Needs `{permission}`."
        operation["security"] = [{"bearer": [permission]}]
    if is_public:
        operation["security"] = []
    else:
        failures += _WITH_CALLER
    if method in _UNSAFE:
        is_repeatable = method in _REPEATABLE
        failures += () if is_repeatable else _WITH_BODY
        failures += () if is_public else _WITH_EFFECT
        if not (is_public or is_repeatable or KEYLESS in options):
            failures += _WITH_KEY
            operation.setdefault("parameters", []).append(_KEY_PARAMETER)
    if STREAM in options:  # a stream that ends at once, which a browser opens again
        failures.remove(RateLimited)
    _add_problems(operation, failures, declared=declared)


def _add_problems(operation: Operation, failures: Sequence[type[Failure]], *, declared: Collection[int]) -> None:
    """Add the problems to the replies that a handler declares, in place of those that the framework guesses."""
    by_status: dict[int, set[str]] = {}
    for failure in failures:
        by_status.setdefault(STATUS[failure], set()).add(failure.code)
    for status, codes in sorted(by_status.items()):
        reply = operation["responses"].get(str(status), {}) if status in declared else {}
        description = ", ".join(filter(None, (reply.get("description", ""), *sorted(codes))))
        content = {PROBLEM_JSON: {"schema": {"$ref": "#/components/schemas/Problem"}}}
        operation["responses"][str(status)] = {
            "description": description,
            "content": {**reply.get("content", {}), **content},
        }


def _problem_schema() -> dict[str, Any]:
    components = msgspec.json.schema_components([Problem])[1]
    problem: dict[str, Any] = components["Problem"]
    problem["description"] = "A failure (RFC 9457). Its facts stand beside these members, under their own names."
    problem["properties"]["code"]["enum"] = sorted({failure.code for failure in STATUS})
    problem["properties"]["errors"] = {
        "type": "array",
        "description": "With INVALID_REQUEST: what is wrong, and where.",
        "items": msgspec.json.schema_components([Fault])[1]["Fault"],
    }
    return problem


def _structs(annotation: object) -> Iterator[type[msgspec.Struct]]:
    """Yield the structs of an annotation, nested ones included."""
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        yield annotation
        for field in msgspec.structs.fields(annotation):
            yield from _structs(field.type)
    elif get_origin(annotation) in {Union, UnionType, list, Annotated}:
        for argument in get_args(annotation):
            yield from _structs(argument)


def _operation_id(handler: HTTPRouteHandler, method: HttpMethod | str, _path: object) -> str:
    """Return the handler's name, for the clients that are generated from the document."""
    name = handler.fn.__name__
    return name if len(handler.http_methods) == 1 else f"{name}_{str(method).lower()}"


def _assets() -> Path:
    return Path(str(files("tallystick.entrypoints.http"))) / "swagger_ui"
