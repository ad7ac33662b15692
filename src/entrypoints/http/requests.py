"""Requests as handlers see them: the caller, a strict body, the idempotency key."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.types import HTTPScope

from tallystick.application.fingerprints import Fingerprints
from tallystick.application.idempotency import RequestKey
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Unauthenticated
from tallystick.domain.sessions import SessionKey
from tallystick.entrypoints.http.bodies import MAX_BODY_BYTES, decode, read_body
from tallystick.entrypoints.http.internals import keep_body, kept_body
from tallystick.entrypoints.http.refusals import Fault, InvalidRequest
from tallystick.entrypoints.http.request_context import context_of

FINGERPRINTS = "fingerprints"
"""The name in the application's state of what hashes requests."""

MAX_BODY = "max_body_bytes"
"""The option of handlers that take more than 64 KiB."""

STRICTER = "stricter"
"""The option of handlers that names a stricter type than their own; the body must be valid for both."""


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of routes that need no body: absent, or an empty object."""


class ApiRequest(Request[Principal, None, State]):
    """A request whose body is bounded, checked, and decoded to the type of the handler."""

    async def body(self) -> bytes:
        """Return the raw body; refusals as in `read_body`."""
        body = kept_body(self)
        if body is None:
            limit = self.route_handler.opt.get(MAX_BODY, MAX_BODY_BYTES)
            context = context_of(self.scope)
            body = await read_body(self.receive, context.headers, limit=limit)
            field = self.route_handler.parsed_data_field
            if not body and field is not None:
                missing = [] if field.is_optional else [Fault.at("", "a JSON object is needed")]
                if context.faults or missing:
                    raise InvalidRequest([*context.faults, *missing])
            keep_body(self, body)
        return body

    async def json(self) -> Any:
        """Return the body as the handler's `data`; InvalidRequest names what is wrong."""
        field = self.route_handler.parsed_data_field
        if field is None:
            raise AssertionError("a handler without data decodes no body")
        body, faults = await self.body(), context_of(self.scope).faults
        if STRICTER in self.route_handler.opt:
            decode(body, self.route_handler.opt[STRICTER], others=faults)
        return decode(body, field.annotation, others=faults)

    async def idempotency_key(
        self, at: datetime, *, success_status: int = 200, session: SessionKey | None = None
    ) -> RequestKey | None:
        """Return the idempotency key of this request; None where the client sent none.

        Where a `session` is given, the same request of another session is another request.
        """
        return await request_key(self.scope, self.body, at=at, success_status=success_status, session=session)


async def request_key(
    scope: HTTPScope,
    body: Callable[[], Awaitable[bytes]],
    *,
    at: datetime,
    success_status: int,
    session: SessionKey | None = None,
) -> RequestKey | None:
    """Return the idempotency key of a request that passed the caller guard; None where the client sent none."""
    context = context_of(scope)
    given = context.headers.get(b"idempotency-key")
    if given is None:
        return None
    if context.principal is None:
        raise Unauthenticated
    fingerprints: Fingerprints = scope["litestar_app"].state[FINGERPRINTS]
    about = (session.session_id.encode(),) if session is not None else ()
    request = b"\n".join((scope["method"].encode(), scope["raw_path"], *about, await body()))
    return RequestKey(
        caller=context.principal.user_id,
        key=given.decode(),
        fingerprint=await fingerprints(request),
        success_status=success_status,
        correlation_id=context.correlation_id,
        at=at,
    )
