"""Results and errors of functions in the form of PostgREST."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
from litestar.types import HTTPResponseStartEvent, Message, Send

from tallystick.entrypoints.http.functions.manifest import Function, Row, Rows, Scalar, function_at, function_name
from tallystick.entrypoints.http.functions.requests import argument_of
from tallystick.entrypoints.http.problems import PROBLEM_JSON

Headers = Sequence[tuple[bytes, bytes]]

ONE_OBJECT = b"application/vnd.pgrst.object+json"
JSON_TYPE = b"application/json; charset=utf-8"
_RAISED = "P0001"
_SQLSTATES: Mapping[str, str] = {
    "FORBIDDEN": "42501",
    "INTERNAL_ERROR": "XX000",
    "INVALID_REQUEST": "22023",
    "METHOD_NOT_ALLOWED": "PGRST117",
    "UNAUTHENTICATED": "42501",
}
"""The code of an error that PostgREST or PostgreSQL has a code for; a refusal is what a function would raise."""
_BAD_TOKEN = "PGRST301"  # noqa: S105  a code


class FunctionError(msgspec.Struct, frozen=True):
    """An error as PostgREST sends it; `message` is the lasting code of the failure."""

    code: str
    details: str | None
    hint: str | None
    message: str


class Result(msgspec.Struct, frozen=True):
    """The result of a function: its JSON, and the number of its rows."""

    body: bytes
    rows: int


def result_of(function: Function, reply: bytes) -> Result:
    """Return the result of a function, given the reply of its operation."""
    kind = function.result
    if isinstance(kind, Row):
        return Result(reply, 1)
    decoded = msgspec.json.decode(reply)
    if isinstance(kind, Scalar):
        # The length must not show whether a code exists; the reply of the operation does not show it either.
        return Result(msgspec.json.encode(kind.of(decoded)).ljust(len(reply)), 1)
    rows = [decoded] if kind.member is None else decoded[kind.member]
    return Result(msgspec.json.encode(rows), len(rows))


def only_row(function: Function, result: Result) -> bytes | None:
    """Return the result as one object; None where it has another number of rows."""
    if not isinstance(function.result, Rows):
        return result.body
    return msgspec.json.encode(msgspec.json.decode(result.body)[0]) if result.rows == 1 else None


def content_range(rows: int, *, is_counted: bool) -> bytes:
    """Return the header that holds the positions of the rows and, if it was asked for, their number."""
    total = str(rows) if is_counted else "*"
    return (f"0-{rows - 1}/{total}" if rows else f"*/{total}").encode()


def with_function_errors(send: Send, path: str) -> Send:
    """Return a `send` that turns the problems of a function into errors of PostgREST; for any other path, `send`."""
    if function_name(path) is None:
        return send
    function = function_at(path)
    held: list[HTTPResponseStartEvent] = []

    async def send_translated(message: Message) -> None:
        if message["type"] == "http.response.start" and _is_problem(message["headers"]):
            held.append(message)
            return
        if held and message["type"] == "http.response.body":
            start = held.pop()
            headers = list(start["headers"])
            body = _translated(message["body"], function, headers)
            length = [(b"content-length", b"%d" % len(body))] if body else []  # HEAD has no body to translate
            start["headers"] = [*_others(headers), (b"content-type", JSON_TYPE), *length]
            await send(start)
            message["body"] = body
        await send(message)

    return send_translated


def _is_problem(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    return any(name == b"content-type" and value.startswith(PROBLEM_JSON.encode()) for name, value in headers)


def _others(headers: Headers) -> list[tuple[bytes, bytes]]:
    return [header for header in headers if header[0] not in {b"content-type", b"content-length"}]


def _translated(body: bytes, function: Function | None, headers: Headers) -> bytes:
    if not body:
        return b""
    problem = msgspec.json.decode(body)
    code = _SQLSTATES.get(problem["code"], _RAISED)
    if b"invalid_token" in dict(headers).get(b"www-authenticate", b""):
        code = _BAD_TOKEN
    faults = [_fault(fault, function) for fault in problem.get("errors", ())]
    details = "; ".join(faults) or problem["detail"]
    return msgspec.json.encode(FunctionError(code, details, None, problem["code"]))


def _fault(fault: Mapping[str, Any], function: Function | None) -> str:
    """Return a fault in words, with the name of the argument in the place of the member that it became."""
    place: str = fault.get("name") or fault.get("pointer", "").removeprefix("/")
    member, slash, rest = place.partition("/")
    argument = argument_of(function, member) if function is not None else None
    named = f"{argument.name if argument is not None else member}{slash}{rest}"
    return f"{named or 'the ' + fault['in']}: {fault['message']}"
