"""Credits: the caller's balance and entries, and grants by callers with the permission."""

import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody

from tallystick.application.credits import Grant, Granted
from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.ports import Clock
from tallystick.application.reads import Reads
from tallystick.domain.exports import EntryView
from tallystick.domain.ledger import AccountFrozen, AccountKey, BalanceLimitExceeded
from tallystick.domain.users import UserDeleted, UserId
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.fields import Amount, EventName, Reason, UserIdText
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.replies import HIT
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest
from tallystick.entrypoints.http.routes.entries import Entries


class GrantBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Credits for a user; the user need not exist yet. The same event key again is the same grant."""

    user_id: UserIdText
    amount: Amount
    """The credits to give."""
    reason: Reason
    event_key: EventName


class CreditBalance(msgspec.Struct, frozen=True):
    """The caller's credits; the version counts the entries."""

    balance: int
    version: int


def credits_router(
    grant: Single[Keyed[Grant], Granted], reads: Reads, caller_guard: CallerGuard, cursors: Cursors, clock: Clock
) -> Router:
    """Return the routes of credits."""

    @get("/credits")
    async def get_balance(request: ApiRequest) -> CreditBalance:
        """Return the caller's balance."""
        key = AccountKey(request.user.user_id, "credits")
        account = (await reads(lambda stores: stores.ledger.balances([key]))).get(key)
        return CreditBalance(account.balance, account.version) if account is not None else CreditBalance(0, 0)

    @get("/credits/entries")
    async def list_credit_entries(request: ApiRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = "") -> Entries:
        """Return the caller's entries, newest first."""
        key, wanted = AccountKey(request.user.user_id, "credits"), clamp(limit)
        before = cursors.open("credit entries", cursor, int) if cursor else None
        found = await reads(lambda stores: stores.ledger.page(key, before=before, limit=wanted + 1))
        page = [EntryView.of(entry) for entry in found[:wanted]]
        return Entries(page, cursors.seal("credit entries", page[-1].seq) if len(found) > wanted else None)

    @post(
        "/credits/grants",
        status_code=200,
        opt={PERMISSION: "credits:grant", FAILURES: (AccountFrozen, BalanceLimitExceeded, UserDeleted)},
    )
    async def grant_credits(request: ApiRequest, data: JSONBody[GrantBody]) -> Response[EntryView]:
        """Give a user credits; each event key counts once."""
        now = clock.now()
        command = Grant(
            user_id=UserId(data.user_id),
            amount=data.amount,
            reason=data.reason,
            event_key=data.event_key,
            staff_id=request.user.user_id,
            correlation_id=context_of(request.scope).correlation_id,
            at=now,
        )
        granted = await grant(Keyed(command, await request.idempotency_key(now)))
        return Response(EntryView.of(granted.entry), status_code=200, headers=HIT if granted.is_repeated else None)

    return Router(
        "/api",
        route_handlers=[get_balance, list_credit_entries, grant_credits],
        guards=[caller_guard.guard],
        tags=["Credits"],
    )
