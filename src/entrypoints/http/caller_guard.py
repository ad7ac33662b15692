"""The caller guard: it checks the rate limit, the caller, the permission and the parameters before a body is read."""

from collections.abc import Mapping
from typing import Any, cast

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import HTTPScope

from tallystick.application.group_commit import Single
from tallystick.application.limit_groups import LimitGroup, default_group
from tallystick.application.ports import Metrics, RateLimiter
from tallystick.application.reads import CallerState
from tallystick.domain.identity import Principal
from tallystick.domain.refusals import Unauthenticated
from tallystick.domain.tokens import TokenRefused
from tallystick.domain.users import UserDeleted
from tallystick.entrypoints.http.authentication import report
from tallystick.entrypoints.http.clients import TrustedProxies
from tallystick.entrypoints.http.parameters import SHAPE, RequestShape, parameter_faults
from tallystick.entrypoints.http.refusals import InvalidRequest, RateLimited
from tallystick.entrypoints.http.request_context import RequestContext, context_of

LIMIT = "limit"
"""The option of handlers that names their limit group; by default `read` for GET and `write` for the rest."""

REFUSES_DELETED = "refuses deleted callers"
"""The option of handlers whose use case refuses deleted callers by itself."""


PERMISSION = "permission"
"""The option of handlers that names the permission that every caller needs; the guard checks it."""

PERMISSION_FOR_OTHERS = "permission for others"
"""The option of handlers that names the permission that callers need for what belongs to others; the handler checks."""


class CallerGuard:
    """Counts requests by caller, and checks that the caller was not deleted or signed out and has the permission."""

    def __init__(
        self,
        limiter: RateLimiter,
        check_caller: Single[Principal, CallerState],
        proxies: TrustedProxies,
        metrics: Metrics,
    ) -> None:
        self._limiter, self._check_caller, self._proxies, self._metrics = limiter, check_caller, proxies, metrics

        async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
            await self._guard(connection, handler)

        # Litestar deep-copies guards, and a deep copy of a bound method copies the whole graph.
        self.guard = guard
        """Litestar's guard for routers: `check` with the options of the handler."""

    async def _guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        await self.check(cast("HTTPScope", connection.scope), handler.opt)

    async def check(self, scope: HTTPScope, options: Mapping[str, Any]) -> None:
        """Check a request against the options of its handler, before its body is read.

        The failures, in their order: RateLimited, UserDeleted, TokenRefused (signed out), PermissionMissing,
        InvalidRequest for faults of the parameters. If the route has a body, the faults stay in the context until the
        body is decoded, so that the answer lists all of them.
        """
        context = context_of(scope)
        await self.count(limit_group(scope["method"], options), context)
        principal = context.principal
        # A use case that refuses deleted callers itself does not check whether the session has ended.
        if principal is not None and (principal.session is not None or REFUSES_DELETED not in options):
            await self._refuse_ended(principal, context)
        permission = options.get(PERMISSION)
        if permission is not None:
            if principal is None:
                raise Unauthenticated
            principal.require(permission)
        shape: RequestShape = options[SHAPE]
        context.faults = parameter_faults(scope, context.headers, shape)
        if context.faults and not shape.has_body:
            raise InvalidRequest(context.faults)

    async def count(self, group: LimitGroup, context: RequestContext) -> None:
        """Count a request by its user, or by its address if the caller is unknown; RateLimited past the limit.

        A request that was counted already is not counted again.
        """
        if context.is_counted:
            return
        context.is_counted = True
        principal = context.principal
        identity = f"user {principal.user_id}" if principal is not None else self._proxies.client(context)
        await self._count(group, identity, context)

    async def count_account(self, account: str, context: RequestContext) -> None:
        """Count an attempt at the password of an account, existing or not; RateLimited past the limit."""
        await self._count("account", account, context)

    async def _count(self, group: LimitGroup, identity: str, context: RequestContext) -> None:
        allowance = await self._limiter.hit(group, identity)
        if allowance is None:
            return
        remaining = f'"{group}";r={allowance.remaining};t={allowance.reset_seconds}'
        context.reply_headers += ((b"ratelimit-policy", allowance.policy), (b"ratelimit", remaining.encode()))
        if not allowance.allowed:
            raise RateLimited(allowance.reset_seconds)

    async def _refuse_ended(self, principal: Principal, context: RequestContext) -> None:
        state = await self._check_caller(principal)
        if state == "deleted":
            raise UserDeleted
        if state == "signed_out":
            refusal = TokenRefused("session_ended", "the session has not ended")
            report(refusal, context, self._metrics)
            raise refusal


def limit_group(method: str, options: Mapping[str, Any]) -> LimitGroup:
    """Return the limit group of a route, by its method and the options of its handler."""
    group: LimitGroup = options.get(LIMIT) or default_group(method)
    return group
