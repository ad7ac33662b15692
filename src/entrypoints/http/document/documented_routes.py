"""The routes of an application as the document needs them: those of the framework, and raw ones."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, get_args, get_origin

import msgspec
from litestar import Litestar, Response
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.routes import ASGIRoute, HTTPRoute

from tallystick.application.limit_groups import LimitGroup
from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.caller_guard import LIMIT, limit_group
from tallystick.entrypoints.http.parameters import RequestShape, shape_of
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation

DOCUMENTED_BODY = "documented body"
"""The option of handlers that read their body themselves: the types that the document shows."""

DOCUMENTED_REPLY = "documented reply"
"""The option of handlers whose reply is no JSON: its type by media type, none for a reply without a body."""

REPLY_HEADERS = "reply headers"
"""The option of handlers that set headers of their own: the names, which are rows of the table of headers."""

JSON = "application/json"
_NOTHING: Mapping[Any, Any] = MappingProxyType({})


class DocumentedRoute(msgspec.Struct, frozen=True):
    """One operation: what a client sends, and what it gets."""

    method: str
    path: str
    name: str
    docstring: str | None
    tags: Sequence[str]
    options: Mapping[str, Any]
    shape: RequestShape
    failures: Sequence[type[Failure]]
    limit_group: LimitGroup | None
    """None where requests are not counted."""
    success_status: int
    body: Any = None
    """The type of the body, or the types that it can have; None if there is none."""
    is_body_required: bool = True
    reply: Any = None
    """The type of a JSON reply; None where the media types of the options say what the reply is."""
    other_replies: Mapping[int, tuple[Any, str]] = _NOTHING
    """Further replies that are no problems: type and description, by status."""
    query: Mapping[str, QueryParameter] = _NOTHING
    """The query parameters as a handler of the framework declares them, by name."""
    defaults: Mapping[str, Any] = _NOTHING
    """The values of query parameters that are not sent, by name."""


def routes_of(app: Litestar) -> Iterator[DocumentedRoute]:
    """Yield every documented route of an application."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_include_in_schema():
                    yield _handled(route, handler)
        elif isinstance(route, ASGIRoute) and OPERATION in route.route_handler.opt:
            yield _raw(route)


def _handled(route: HTTPRoute, handler: HTTPRouteHandler) -> DocumentedRoute:
    (method,) = handler.http_methods - {"HEAD", "OPTIONS"}
    options, field = handler.opt, handler.parsed_data_field
    is_counted = LIMIT in options or bool(handler.resolve_guards())
    query = {
        definition.name or name: (definition, parameter.default)
        for name, parameter in handler.parsed_fn_signature.parameters.items()
        if isinstance(definition := parameter.kwarg_definition, QueryParameter)
    }
    body = options.get(DOCUMENTED_BODY, field.annotation if field is not None else None)
    return DocumentedRoute(
        method=str(method),
        path=route.path_format,
        name=handler.fn.__name__,
        docstring=handler.fn.__doc__,
        tags=handler.resolve_tags(),
        options=options,
        shape=shape_of(handler, route.path_parameters),
        failures=options.get(FAILURES, ()),
        limit_group=limit_group(str(method), options) if is_counted else None,
        success_status=handler.status_code,
        body=_without_none(body),
        is_body_required=field is None or not field.is_optional,
        reply=None if DOCUMENTED_REPLY in options else _replied(handler.parsed_fn_signature.return_type.annotation),
        other_replies={
            status: (specification.data_container, specification.description)
            for status, specification in (handler.responses or {}).items()
        },
        query={name: definition for name, (definition, _) in query.items()},
        defaults={name: default for name, (_, default) in query.items()},
    )


def _raw(route: ASGIRoute) -> DocumentedRoute:
    options = route.route_handler.opt
    raw: RawOperation = options[OPERATION]
    return DocumentedRoute(
        method=raw.method,
        path=route.path_format,
        name=raw.name,
        docstring=raw.about,
        tags=[raw.tag],
        options=options,
        shape=raw.shape,
        failures=raw.failures,
        limit_group=limit_group(raw.method, options),
        success_status=raw.success_status,
        body=raw.body,
        is_body_required=raw.is_body_required,
        reply=raw.answer,
    )


def _replied(annotation: Any) -> Any:
    """Return the type of a handler's JSON; handlers that set headers wrap it in a Response."""
    return get_args(annotation)[0] if get_origin(annotation) is Response else annotation


def _without_none(annotation: Any) -> Any:
    """Return the type of a body that may be absent: null is not absent, and is refused."""
    given = [each for each in get_args(annotation) if each is not type(None)]
    return given[0] if type(None) in get_args(annotation) else annotation
