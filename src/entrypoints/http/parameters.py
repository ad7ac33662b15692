"""Parameters of paths, queries and headers: a name means the same on every route, and the caller guard checks it."""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl

import msgspec
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter
from litestar.routes import HTTPRoute
from litestar.types import HTTPScope
from msgspec import inspect

from tallystick.application.readiness import Purpose
from tallystick.domain.exports import ExportKind
from tallystick.domain.rating_slips import SlipState
from tallystick.entrypoints.http.authentication import PUBLIC
from tallystick.entrypoints.http.faults import is_right
from tallystick.entrypoints.http.fields import EventType, RoomIdText, TimeText, UserIdText, rule
from tallystick.entrypoints.http.refusals import Fault
from tallystick.entrypoints.http.words import needs
from tallystick.entrypoints.renderings import Format

SHAPE = "shape"
"""The option of handlers that holds the shape of their requests; the application sets it for every handler."""

KEYLESS = "keyless"
"""The option of handlers that store no answer, and so take no Idempotency-Key: a request sent again is a new one."""

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_MOST_PARAMETERS = 32
_INTEGER = re.compile(r"-?[0-9]{1,64}\Z")
_KEY = re.compile(rb"[!-~]{1,255}\Z")
_KEY_NEEDS = "1 to 255 visible ASCII characters are needed"
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")


def _text(pattern: str, words: str) -> Any:
    compiled = re.compile(pattern)
    return Annotated[str, msgspec.Meta(extra=rule(lambda text: compiled.fullmatch(text) is not None, words))]


_Id = _text(r"[A-Za-z0-9_-]{1,64}", "an id of 1 to 64 letters (A to Z), digits, hyphens and underscores")

PARAMETERS: Mapping[str, Any] = {
    "after": int,
    "channel_id": _Id,
    "code": str,  # a text that is no code belongs to nobody
    "correlation_id": _text(
        r"[A-Za-z0-9_-]{1,64}", "a correlation id of 1 to 64 letters (A to Z), digits, hyphens and underscores"
    ),
    "cursor": _text(r"|[A-Za-z0-9_=-]{22,4096}", "a next_cursor of this listing"),
    "email": str,  # a text that is not an address belongs to no user: not found
    "event_type": EventType,
    "for": Purpose,
    "format": Format,
    "invite_id": _Id,
    "kind": ExportKind,
    "limit": int,
    "message_id": _Id,
    "name": _text(r"[a-z_]{1,64}", "a name of 1 to 64 small letters and underscores"),
    "player_id": UserIdText,
    "reward_id": _Id,
    "session_id": RoomIdText,
    "since": TimeText,
    "slip_id": _Id,
    "staff_id": UserIdText,
    "state": SlipState,
    "topic": _Id,
    "user_id": UserIdText,
}
"""The type of each parameter, on every route."""

_KINDS: Mapping[str, inspect.Type] = {name: inspect.type_info(kind) for name, kind in PARAMETERS.items()}


class RequestShape(msgspec.Struct, frozen=True):
    """The parameters that a route accepts, and whether it has a body."""

    path: frozenset[str] = frozenset()
    query: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    """The required query parameters."""
    texts: frozenset[str] = frozenset()
    """The query parameters that are any text on this route, whatever they are elsewhere."""
    repeated: Mapping[str, int] = msgspec.field(default_factory=dict)
    """The query parameters that may be given more than once, and how often at most; no value twice."""
    has_body: bool = False
    """True if the route has a body: the faults of the parameters are then reported with those of the body."""
    takes_key: bool = False
    """True if the route accepts an Idempotency-Key."""


def give_shapes(app: Litestar) -> None:
    """Set the option `SHAPE` of every handler, which the caller guard reads."""
    for route in app.routes:
        if isinstance(route, HTTPRoute):
            for handler in route.route_handlers:
                if handler.resolve_guards():
                    handler.opt[SHAPE] = shape_of(handler, route.path_parameters)


def shape_of(handler: HTTPRouteHandler, path: Collection[str]) -> RequestShape:
    """Return the shape of a handler's requests; AssertionError for a parameter that is missing in the table."""
    parameters = handler.parsed_fn_signature.parameters.items()
    query = {
        field.kwarg_definition.name or name: field.is_required
        for name, field in parameters
        if isinstance(field.kwarg_definition, QueryParameter)
    }
    return RequestShape(
        path=_known(path),
        query=_known(query),
        required=frozenset(name for name, is_required in query.items() if is_required),
        has_body=handler.parsed_data_field is not None,
        takes_key=not ({PUBLIC, KEYLESS} & handler.opt.keys() or handler.http_methods <= _SAFE_METHODS),
    )


def parameter_faults(scope: HTTPScope, headers: Mapping[bytes, bytes], shape: RequestShape) -> list[Fault]:
    """Return the faults of the parameters of a request and of its Idempotency-Key."""
    values = scope["path_params"]
    faults = [_fault("path", name) for name in shape.path if not is_right(values[name], _KINDS[name])]
    if shape.required or scope["query_string"]:
        faults += _query_faults(scope["query_string"], shape)
    key = headers.get(b"idempotency-key") if shape.takes_key else None
    if key is not None and not _KEY.match(key):
        faults.append(Fault("header", name="Idempotency-Key", message=_KEY_NEEDS))
    return faults


def path_fault(name: str, value: object) -> Fault | None:
    """Return the fault of a value for a parameter of a path; None if it is right."""
    return None if is_right(value, _KINDS[name]) else _fault("path", name)


def _query_faults(query: bytes, shape: RequestShape) -> Iterator[Fault]:
    try:
        given = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_PARAMETERS
        )
    except ValueError:
        yield Fault(
            "query", name="", message=f"at most {_MOST_PARAMETERS} parameters in percent-encoded UTF-8 are needed"
        )
        return
    seen = dict.fromkeys(name for name, _ in given)
    for name in seen:
        values = [value for each, value in given if each == name]
        if name not in shape.query:
            yield _unknown(name, shape.query)
        elif len(values) > 1 and name not in shape.repeated:
            yield Fault("query", name=name, message="this parameter is given more than once")
        elif len(values) > shape.repeated.get(name, 1) or len(set(values)) < len(values):
            most = shape.repeated[name]
            yield Fault(
                "query", name=name, message=f"at most {most} values of this parameter are taken, and none twice"
            )
        elif name not in shape.texts and not all(_is_query_value(value, _KINDS[name]) for value in values):
            yield _fault("query", name)
    for name in sorted(shape.required - seen.keys()):
        yield Fault("query", name=name, message=f"this parameter is missing: {needs(_KINDS[name])} is needed")


def _is_query_value(text: str, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.IntType):
        return _INTEGER.match(text) is not None
    return is_right(text, kind)


def _fault(where: Literal["path", "query"], name: str) -> Fault:
    return Fault(where, name=name, message=f"{needs(_KINDS[name])} is needed")


def _unknown(name: str, known: Collection[str]) -> Fault:
    names = ", ".join(sorted(known)) or "none"
    shown = name if _NAME.match(name) else ""
    return Fault("query", name=shown, message=f"this parameter is not known here; known are: {names}")


def _known(names: Collection[str]) -> frozenset[str]:
    unknown = set(names) - PARAMETERS.keys()
    if unknown:
        raise AssertionError(f"PARAMETERS says nothing of {', '.join(sorted(unknown))}")
    return frozenset(names)
