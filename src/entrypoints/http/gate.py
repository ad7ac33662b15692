"""The gate that every route stands behind: counted, and closed to those who were deleted."""

from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler

from application.group_commit import Single
from application.ports import LimitGroup, RateLimiter
from domain.users import UserDeleted, UserId
from entrypoints.http.exchange import Exchange, TrustedProxies, exchange_of
from entrypoints.http.refusals import RateLimited

LIMIT = "limit"
"""The option of handlers that names their limit group; by default `read` for GET and `write` for the rest."""

TELLS_DELETED = "tells deleted"
"""The option of handlers whose use case refuses deleted callers by itself."""


class Gate:
    """Counts requests by caller, and asks whether the caller still lives."""

    def __init__(self, limiter: RateLimiter, tell_deleted: Single[UserId, bool], proxies: TrustedProxies) -> None:
        self._limiter, self._tell_deleted, self._proxies = limiter, tell_deleted, proxies

        async def guard(connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
            await self._guard(connection, handler)

        # A function of its own: Litestar copies guards deeply, and a bound method would bring the whole graph along.
        self.guard = guard
        """Lets a request in; RateLimited or UserDeleted where it has to stay outside."""

    async def _guard(self, connection: ASGIConnection[Any, Any, Any, Any], handler: BaseRouteHandler) -> None:
        exchange = exchange_of(connection.scope)
        by_method: LimitGroup = "read" if connection.scope.get("method") in {"GET", "HEAD"} else "write"
        group: LimitGroup = handler.opt.get(LIMIT, by_method)
        await (self.count if TELLS_DELETED in handler.opt else self.admit)(group, exchange)

    async def admit(self, group: LimitGroup, exchange: Exchange) -> None:
        """Let a caller in who asks past the guards; RateLimited or UserDeleted as they would."""
        await self.count(group, exchange)
        if exchange.principal is not None and await self._tell_deleted(exchange.principal.user_id):
            raise UserDeleted

    async def count(self, group: LimitGroup, exchange: Exchange) -> None:
        """Count a request by its user, or by its address where nobody is known; RateLimited past the limit."""
        principal = exchange.principal
        identity = f"user {principal.user_id}" if principal is not None else self._proxies.client(exchange)
        allowance = await self._limiter.hit(group, identity)
        if allowance is None:
            return
        remaining = f'"{group}";r={allowance.remaining};t={allowance.reset_seconds}'
        exchange.reply_headers += ((b"ratelimit-policy", allowance.policy), (b"ratelimit", remaining.encode()))
        if not allowance.allowed:
            raise RateLimited(allowance.reset_seconds)
