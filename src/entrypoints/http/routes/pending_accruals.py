"""Pending accruals: staff list them and have them credited."""

from datetime import datetime

import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.pending_accruals import Recovery
from tallystick.application.points import Accrued
from tallystick.application.ports import Clock
from tallystick.application.reads import Reads
from tallystick.domain.ledger import EventKey
from tallystick.domain.loyalty import Accrual
from tallystick.domain.pending_accruals import AccrualNotFound, AccrualPending, PendingAccrual
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.fields import EventName, EventType, UserIdText
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.replies import HIT
from tallystick.entrypoints.http.requests import ApiRequest


class PendingEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event of a pending accrual, with the names of the list."""

    player_id: UserIdText
    event_type: EventType
    event_key: EventName


class PendingPage(Page[PendingAccrual], frozen=True):
    """A page of pending accruals, oldest first."""


class _Position(msgspec.Struct, frozen=True, array_like=True):
    created_at: datetime
    player_id: UserId
    event_type: str
    event_key: str


def pending_accruals_router(
    recover: Single[Keyed[Recovery], Accrued], reads: Reads, caller_guard: CallerGuard, cursors: Cursors, clock: Clock
) -> Router:
    """Return the routes of pending accruals."""

    @get("/", opt={PERMISSION: "loyalty:read"})
    async def list_pending_accruals(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = "") -> PendingPage:
        """Return pending accruals of slips and referrals, oldest first."""
        wanted = clamp(limit)
        position = cursors.open("pending accruals", cursor, _Position) if cursor else None
        after = (position.created_at, _event(position)) if position is not None else None
        found = await reads(lambda stores: stores.pending.page(after=after, limit=wanted + 1))
        page = found[:wanted]
        if len(found) <= wanted:
            return PendingPage(page, None)
        last = page[-1]
        end = _Position(last.created_at, last.player_id, last.event_type, last.event_key)
        return PendingPage(page, cursors.seal("pending accruals", end))

    @post("/recover", status_code=200, opt={PERMISSION: "loyalty:recover", FAILURES: (AccrualNotFound, AccrualPending)})
    async def recover_pending_accrual(request: ApiRequest, data: JSONBody[PendingEvent]) -> Response[Accrual]:
        """Credit a pending accrual of a slip or of a referral; safe to repeat."""
        now = clock.now()
        accrued = await recover(Keyed(Recovery(_event(data), now), await request.idempotency_key(now)))
        return Response(accrued.accrual, status_code=200, headers=HIT if accrued.is_repeated else None)

    return Router(
        "/api/pending-accruals",
        route_handlers=[list_pending_accruals, recover_pending_accrual],
        guards=[caller_guard.guard],
        tags=["Loyalty"],
    )


def _event(named: PendingEvent | _Position) -> EventKey:
    return EventKey(UserId(named.player_id), "points", named.event_type, named.event_key)
