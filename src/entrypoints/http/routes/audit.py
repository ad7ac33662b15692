"""Audit: entries of points. A player sees their own entries, and staff see those of all players."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, get
from litestar.params import FromPath, QueryParameter

from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores
from tallystick.domain.audit import AuditQuery, PageCursor, cursor_of
from tallystick.domain.exports import EntryView
from tallystick.domain.ledger import Entry
from tallystick.domain.refusals import PermissionMissing
from tallystick.domain.users import UserId, UserNotFound
from tallystick.entrypoints.http.caller_guard import PERMISSION, PERMISSION_FOR_OTHERS, CallerGuard
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.refusals import InvalidRequest
from tallystick.entrypoints.http.requests import ApiRequest
from tallystick.entrypoints.http.routes.entries import Entries
from tallystick.entrypoints.http.routes.loyalty import require_player

Player = Annotated[str | None, QueryParameter(description="Only entries of this player.")]
Request = Annotated[str | None, QueryParameter(description="Only entries of the request with this correlation id.")]
Staff = Annotated[str | None, QueryParameter(description="Only entries in the name of this member of staff.")]
Kind = Annotated[str | None, QueryParameter(description="Only entries of events of this type.")]


class _Cursor(msgspec.Struct, frozen=True, array_like=True):
    created_at: datetime
    user_id: UserId
    seq: int


def audit_router(reads: Reads, caller_guard: CallerGuard, cursors: Cursors) -> Router:
    """Return the routes that show entries of points."""

    async def paged(query: AuditQuery, limit: int, cursor: str) -> Entries:
        wanted, listing = clamp(limit), f"point entries {msgspec.json.encode(query).decode()}"
        opened = cursors.open(listing, cursor, _Cursor) if cursor else None
        before = PageCursor(opened.created_at, opened.user_id, opened.seq) if opened is not None else None

        async def ask(stores: Stores) -> list[Entry]:
            if query.player_id is not None and not await stores.players.find([query.player_id]):
                raise UserNotFound
            return await stores.audit.entries(query, before=before, limit=wanted + 1)

        found = await reads(ask)
        page = [EntryView.of(entry) for entry in found[:wanted]]
        if len(found) <= wanted:
            return Entries(page, None)
        return Entries(page, cursors.seal(listing, _Cursor(*cursor_of(found[wanted - 1]))))

    @get(
        "/loyalty/{player_id:str}/entries",
        opt={PERMISSION_FOR_OTHERS: "loyalty:read", FAILURES: (PermissionMissing, UserNotFound)},
    )
    async def list_loyalty_entries(
        request: ApiRequest,
        player_id: FromPath[str],
        correlation_id: Request = None,
        staff_id: Staff = None,
        event_type: Kind = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = "",
    ) -> Entries:
        """Return a player's entries of points, newest first. With `loyalty:read` the player may be another user."""
        require_player(request, player_id)
        return await paged(_question(player_id, correlation_id, staff_id, event_type), limit, cursor)

    @get("/point-entries", opt={PERMISSION: "loyalty:read", FAILURES: (UserNotFound,)})
    async def list_point_entries(
        player_id: Player = None,
        correlation_id: Request = None,
        staff_id: Staff = None,
        event_type: Kind = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = "",
    ) -> Entries:
        """Return entries of points across players, newest first, by at least one of the filters.

        The entries of one player are in the order in which they were posted.
        """
        query = _question(player_id, correlation_id, staff_id, event_type)
        if query.is_open:
            raise InvalidRequest.query(
                "player_id", "one of player_id, correlation_id, staff_id and event_type is needed"
            )
        return await paged(query, limit, cursor)

    return Router(
        "/api", route_handlers=[list_loyalty_entries, list_point_entries], guards=[caller_guard.guard], tags=["Loyalty"]
    )


def _question(
    player_id: str | None, correlation_id: str | None, staff_id: str | None, event_type: str | None
) -> AuditQuery:
    return AuditQuery(
        player_id=UserId(player_id) if player_id is not None else None,
        correlation_id=correlation_id,
        staff_id=UserId(staff_id) if staff_id is not None else None,
        event_type=event_type,
    )
