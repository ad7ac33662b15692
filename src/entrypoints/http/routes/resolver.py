"""The public look-up of a code, and clicks on share links. Both take equally long for every code."""

import re
from typing import Annotated
from urllib.parse import parse_qs

import msgspec
from litestar import Response, Router, asgi, get
from litestar.datastructures import Cookie
from litestar.enums import MediaType, ScopeType
from litestar.params import FromPath
from litestar.types import Receive, Scope, Send

from tallystick.application.clicks import Clicks
from tallystick.application.group_commit import Single
from tallystick.application.ports import Metrics
from tallystick.application.referral_links import Resolution
from tallystick.domain.codes import MAX_CODE_LENGTH, normal_form
from tallystick.entrypoints.http.authentication import PUBLIC, cookie
from tallystick.entrypoints.http.caller_guard import LIMIT, CallerGuard
from tallystick.entrypoints.http.document.documented_routes import DOCUMENTED_REPLY, REPLY_HEADERS
from tallystick.entrypoints.http.links import (
    CLICK_COOKIE,
    CLICK_COOKIE_SECONDS,
    MAX_CLICKS,
    Addresses,
    click_cookie,
    clicked_codes,
)
from tallystick.entrypoints.http.parameters import RequestShape
from tallystick.entrypoints.http.raw_routes import OPERATION, RawOperation
from tallystick.entrypoints.http.refusals import MethodNotAllowed
from tallystick.entrypoints.http.request_context import JSON, context_of, send_reply
from tallystick.entrypoints.http.requests import ApiRequest

_RESOLVE_ABOUT = """Return whether a code belongs to a user.

Every answer has the same status, header names and number of bytes, and costs the same, for known, unknown and malformed
codes. `code` is the normal form; it is empty for a text that cannot be a code.
"""


class ResolvedCode(msgspec.Struct, frozen=True):
    """Whether the code belongs to a user."""

    code: Annotated[str, msgspec.Meta(pattern="^([0-9A-Z]{4,32})?$")]
    """The normal form of the code; empty for a text that cannot be a code."""
    valid: bool
    """True if a user has the code, or had it before."""


_OPERATION = RawOperation(
    "GET", "resolve_code", _RESOLVE_ABOUT, "Resolver", RequestShape(query=frozenset({"code"})), answer=ResolvedCode
)
"""The resolver bypasses the framework's handlers, which double its cost."""

_PLAIN_QUERY = re.compile(rb"code=([0-9A-Za-z-]*)\Z")


def resolver_router(
    resolve: Single[str, Resolution], clicks: Clicks, caller_guard: CallerGuard, addresses: Addresses, metrics: Metrics
) -> Router:
    """Return the public routes of share links."""

    @asgi(
        "/api/referral/resolve",
        copy_scope=False,
        opt={PUBLIC: True, LIMIT: "resolver", OPERATION: _OPERATION},
    )
    async def resolve_code(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001  the names are ASGI's
        if scope["type"] != ScopeType.HTTP or scope["method"] != "GET":
            raise MethodNotAllowed
        await caller_guard.count("resolver", context_of(scope))
        code = normal_form(_asked(scope["query_string"])) or ""
        try:
            resolution = await resolve(code)
        except Exception:
            metrics.count("resolver_outcomes", label="failed")
            raise
        metrics.count("resolver_outcomes", label=resolution)
        await send_reply(send, 200, JSON, reply(code, resolution))

    @get(
        "/r/{code:path}",
        status_code=302,
        media_type=MediaType.TEXT,
        opt={PUBLIC: True, LIMIT: "resolver", DOCUMENTED_REPLY: {}, REPLY_HEADERS: ("Location", "Set-Cookie")},
    )
    async def follow_link(request: ApiRequest, code: FromPath[str]) -> Response[bytes]:
        """Redirect a click to the app with `?ref=`, also for a code that belongs to nobody. Store the first five codes.

        Other query parameters, such as `utm_source`, are passed on to the app.
        """
        await caller_guard.count("resolver", context_of(request.scope))
        clicked = normal_form(code.removeprefix("/"))
        cookies: list[Cookie] = []
        if clicked is not None:
            clicks.note(clicked)
            remembered = clicked_codes(cookie(context_of(request.scope).headers, CLICK_COOKIE))
            if clicked not in remembered and len(remembered) < MAX_CLICKS:
                cookies = [_click(click_cookie([*remembered, clicked]), is_secure=addresses.is_secure)]
        location = addresses.landing(clicked, request.scope["query_string"].decode("latin-1"))
        return Response(b"", headers={"location": location}, cookies=cookies)

    return Router("", route_handlers=[resolve_code, follow_link], tags=["Resolver"])


def reply(code: str, resolution: Resolution) -> bytes:
    """Return the resolver's answer, padded at its end so that all answers have the same length."""
    is_valid = resolution != "unknown"
    padding = " " * (MAX_CODE_LENGTH - len(code))
    return f'{{"code":"{code}"{padding},"valid":{"true " if is_valid else "false"}}}'.encode()


def _asked(query: bytes) -> str:
    """Return the code of a query; empty if the query has no code, or more than one."""
    plain = _PLAIN_QUERY.match(query)
    if plain is not None:  # nearly all queries need no decoding
        return plain[1].decode()
    try:
        codes = parse_qs(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=16).get("code")
    except ValueError:
        return ""
    return codes[0] if codes is not None and len(codes) == 1 else ""


def _click(codes: str, *, is_secure: bool) -> Cookie:
    return Cookie(
        key=CLICK_COOKIE, value=codes, max_age=CLICK_COOKIE_SECONDS, httponly=True, secure=is_secure, samesite="lax"
    )
