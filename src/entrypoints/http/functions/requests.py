"""Calls of functions as requests of their operations."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import msgspec

from tallystick.entrypoints.http.document.documented_routes import DocumentedRoute
from tallystick.entrypoints.http.functions.manifest import NAMES_OF_USERS, Argument, Function
from tallystick.entrypoints.http.parameters import path_fault
from tallystick.entrypoints.http.refusals import InvalidRequest
from tallystick.entrypoints.http.request_context import MAX_TARGET_BYTES
from tallystick.entrypoints.http.strict_json import parse

_MOST_ARGUMENTS = 32


class OperationRequest(NamedTuple):
    """The request of an operation, as a client of the API would send it."""

    path: str
    query: bytes
    body: bytes


def arguments_of_body(body: bytes) -> Mapping[str, Any]:
    """Return the arguments that a body holds; InvalidRequest where it is no JSON object."""
    value = parse(body) if body else {}
    if not isinstance(value, dict):
        raise InvalidRequest.at("", "a JSON object of arguments is needed")
    return value


def arguments_of_query(query: bytes) -> Mapping[str, Any]:
    """Return the arguments that a query holds; InvalidRequest where it has a name twice.

    `select=*` asks for every column, which is what a result has anyway.
    """
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_ARGUMENTS
        )
    except ValueError:
        raise InvalidRequest.query(
            "", f"at most {_MOST_ARGUMENTS} arguments in percent-encoded UTF-8 are needed"
        ) from None
    given = dict(pairs)
    if len(given) < len(pairs):
        raise InvalidRequest.query("", "an argument is given more than once")
    if given.get("select") == "*":
        del given["select"]
    return given


def members_of(function: Function, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the arguments by the members of the operation; None where the function has no such arguments.

    Null stands for an optional argument that is not given.
    """
    members: dict[str, Any] = {}
    names = set(given) - NAMES_OF_USERS
    for argument in function.arguments:
        found = [name for name in (argument.name, *argument.also) if name in names]
        if len(found) > 1 or (argument.is_required and not found):
            return None
        names -= set(found)
        if found and not (given[found[0]] is None and not argument.is_required):
            members[argument.member] = given[found[0]]
    return None if names else members


def request_of(function: Function, route: DocumentedRoute, members: Mapping[str, Any]) -> OperationRequest:
    """Return the request of an operation; InvalidRequest for a value that a path cannot hold."""
    shape = route.shape
    for name in shape.path:
        fault = path_fault(name, members[name])
        if fault is not None:
            raise InvalidRequest([fault])
    query = urlencode(
        {name: _text(argument_of(function, name), value) for name, value in members.items() if name in shape.query}
    ).encode()
    if len(query) > MAX_TARGET_BYTES:
        raise InvalidRequest.at("", f"the arguments are longer than {MAX_TARGET_BYTES:,} bytes in a query")
    body = {name: value for name, value in members.items() if name not in shape.path | shape.query}
    has_body = route.method != "GET"
    return OperationRequest(
        route.path.format(**{name: members[name] for name in shape.path}),
        query,
        msgspec.json.encode({**function.constants, **body}) if has_body else b"",
    )


def argument_of(function: Function, member: str) -> Argument | None:
    """Return the argument that becomes a member."""
    return next((each for each in function.arguments if each.member == member), None)


def _text(argument: Argument | None, value: object) -> str:
    """Return a value as a query holds it; InvalidRequest for a value that is neither a text nor a whole number."""
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    name = "" if argument is None else f"/{argument.name}"
    raise InvalidRequest.at(name, "a text or a whole number is needed")
