"""Calls of functions: each is carried out by the route of its operation."""

import re
from collections.abc import Collection, Mapping
from typing import cast

import msgspec
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPRequestEvent, HTTPScope, Message, Receive, Scope, Send

from tallystick.domain.refusals import Failure
from tallystick.entrypoints.http.authentication import PUBLIC, Authentication, bearer_token
from tallystick.entrypoints.http.bodies import read_body
from tallystick.entrypoints.http.caller_guard import CallerGuard
from tallystick.entrypoints.http.document.documented_routes import DocumentedRoute
from tallystick.entrypoints.http.functions.manifest import (
    FUNCTIONS,
    PATH,
    REPLACED,
    Function,
    function_name,
    methods_of,
)
from tallystick.entrypoints.http.functions.replies import (
    JSON_TYPE,
    ONE_OBJECT,
    FunctionError,
    content_range,
    only_row,
    result_of,
)
from tallystick.entrypoints.http.functions.requests import (
    OperationRequest,
    arguments_of_body,
    arguments_of_query,
    members_of,
    request_of,
)
from tallystick.entrypoints.http.problems import send_problem
from tallystick.entrypoints.http.refusals import MethodNotAllowed
from tallystick.entrypoints.http.request_context import JSON, RequestContext, context_of, send_reply

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}\Z")
_FIRST_REFUSAL = 400
_MOST_NAMES = 32
_OTHER_FORMS = (b"application/vnd.pgrst.plan", b"text/csv")
_COUNT = re.compile(rb"count=(exact|planned|estimated)")


class FunctionCalls:
    """Answers calls of functions by the operations that they stand for, and passes every other request on."""

    def __init__(
        self,
        app: ASGIApp,
        routes: Mapping[str, DocumentedRoute],
        authentication: Authentication,
        caller_guard: CallerGuard,
    ) -> None:
        """`app` has the routes; `routes` are those of the operations, by the ids of the operations."""
        self._app, self._authentication, self._caller_guard = app, authentication, caller_guard
        self._routes = {function.name: routes[function.operation] for function in FUNCTIONS.values()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = function_name(scope["path"]) if scope["type"] == ScopeType.HTTP else None
        if scope["type"] != ScopeType.HTTP or name is None:
            await self._app(scope, receive, send)
            return
        context = context_of(scope)
        is_known = name in FUNCTIONS or name in REPLACED
        scope["path_template"] = PATH + (name if is_known else "{function}")
        try:
            if is_known and scope["method"] not in methods_of(scope["path"]):
                raise MethodNotAllowed
            if name in FUNCTIONS:
                await self._call(FUNCTIONS[name], scope, receive, send)
            elif name in REPLACED:
                await _send_error(send, context, 410, _replaced(name, REPLACED[name]))
            else:
                await _send_error(send, context, 404, _not_found(name, ()))
        except Failure as failure:
            await send_problem(failure, context, send)

    async def _call(self, function: Function, scope: HTTPScope, receive: Receive, send: Send) -> None:
        route, context = self._routes[function.name], context_of(scope)
        _drop_anonymous_key(context)
        # The caller is checked and counted before the body is read, as on every route; the route counts no second time.
        if PUBLIC not in route.options:
            context.principal = await self._authentication.principal(context, scope["method"])
        if route.limit_group is not None:
            await self._caller_guard.count(route.limit_group, context)
        asked = arguments_of_query(scope["query_string"])
        given = asked
        if scope["method"] == "POST":
            given = arguments_of_body(await read_body(receive, context.headers))
        members = members_of(function, given)
        if members is None or (given is not asked and asked):  # the query of a POST holds filters, which are not served
            given = {**asked, **given}
            await _send_error(send, context, 404, _not_found(function.name, given))
            return
        unserved = _unserved(context.headers)
        if unserved is not None:
            await _send_error(send, context, 406, unserved)
            return
        status, headers, body = await self._carried_out(route, request_of(function, route, members), scope)
        if status >= _FIRST_REFUSAL:
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": body, "more_body": False})
            return
        await _send_result(send, function, context, headers, body)

    async def _carried_out(
        self, route: DocumentedRoute, request: OperationRequest, scope: HTTPScope
    ) -> tuple[int, list[tuple[bytes, bytes]], bytes]:
        """Send a request to the route of an operation; return status, headers and body of its answer."""
        headers = context_of(scope).headers
        headers[b"content-length"], headers[b"content-type"] = b"%d" % len(request.body), JSON
        headers.pop(b"transfer-encoding", None)
        target = {"method": route.method, "path": request.path, "raw_path": request.path.encode()}
        inner = cast("HTTPScope", {**scope, **target, "query_string": request.query})
        status, answered, body = 0, list[tuple[bytes, bytes]](), bytearray()

        async def receive() -> HTTPRequestEvent:
            return {"type": "http.request", "body": request.body, "more_body": False}

        async def keep(message: Message) -> None:
            nonlocal status, answered, body
            if message["type"] == "http.response.start":
                status, answered = message["status"], list(message["headers"])
            elif message["type"] == "http.response.body":
                body += message["body"]

        await self._app(inner, receive, keep)
        return status, answered, bytes(body)


def _drop_anonymous_key(context: RequestContext) -> None:
    """Drop a bearer token that is the key of the project: Supabase's clients send it for users who are signed out.

    The caller is nobody then, also where the browser adds the cookie of a session.
    """
    key = context.headers.get(b"apikey")
    if key is not None and bearer_token(context.headers) == key.decode("latin-1"):
        del context.headers[b"authorization"]
        context.headers.pop(b"cookie", None)


async def _send_result(
    send: Send, function: Function, context: RequestContext, headers: list[tuple[bytes, bytes]], reply: bytes
) -> None:
    result = result_of(function, reply)
    body, media_type = result.body, JSON_TYPE
    if ONE_OBJECT in context.headers.get(b"accept", b""):
        only = only_row(function, result)
        if only is None:
            await _send_error(send, context, 406, _not_one(result.rows))
            return
        body, media_type = only, ONE_OBJECT + b"; charset=utf-8"
    count = _COUNT.search(context.headers.get(b"prefer", b""))
    kept = [header for header in headers if header[0].lower() not in {b"content-type", b"content-length"}]
    kept.append((b"content-range", content_range(result.rows, is_counted=count is not None)))
    if count is not None:
        kept.append((b"preference-applied", count[0]))
    await send_reply(send, 200, media_type, body, kept)


async def _send_error(send: Send, context: RequestContext, status: int, error: FunctionError) -> None:
    context.code = error.code
    await send_reply(send, status, JSON_TYPE, msgspec.json.encode(error))


def _not_found(name: str, given: Collection[str]) -> FunctionError:
    shown = name if _NAME.match(name) else "?"
    arguments = ", ".join(sorted(each for each in given if _NAME.match(each))[:_MOST_NAMES])
    known = FUNCTIONS.get(name)
    names = ", ".join(each.name for each in known.arguments) if known is not None else ""
    return FunctionError(
        code="PGRST202",
        details=f"Searched for the function public.{shown} with parameters {arguments or 'none'}, but no matches were "
        "found in the schema cache.",
        hint=f"Perhaps you meant to call the function public.{shown}({names})" if known is not None else None,
        message=f"Could not find the function public.{shown}({arguments}) in the schema cache",
    )


def _unserved(headers: Mapping[bytes, bytes]) -> FunctionError | None:
    """Return the refusal of a call that asks for another form of answer or another schema: it would be carried out."""
    accepted, preferred = headers.get(b"accept", b""), headers.get(b"prefer", b"")
    if any(form in accepted for form in _OTHER_FORMS) or b"tx=rollback" in preferred:
        return FunctionError(
            code="PGRST107",
            details="plans, CSV and tx=rollback are not served here; nothing was done",
            hint=None,
            message="None of these media types are available",
        )
    schema = headers.get(b"content-profile", headers.get(b"accept-profile", b"public"))
    if schema != b"public":
        return FunctionError(
            code="PGRST106",
            details="nothing was done",
            hint=None,
            message="The schema must be one of the following: public",
        )
    return None


def _replaced(name: str, instead: str) -> FunctionError:
    names = ", ".join(each.name for each in FUNCTIONS[instead].arguments)
    return FunctionError(
        code="P0001",
        details=f"{name} is not served here",
        hint=f"Call {instead}({names})",
        message="FUNCTION_REPLACED",
    )


def _not_one(rows: int) -> FunctionError:
    return FunctionError(
        code="PGRST116",
        details=f"The result contains {rows} rows",
        hint=None,
        message="Cannot coerce the result to a single JSON object",
    )
