"""Overlays: put by the user whose session it is, and read by every user until they end."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get, put
from litestar.params import FromPath, JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.overlay_batch import PutOverlay, RemovedOverlay, RemoveOverlay
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.domain.bounds import BoundReached
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.overlays import (
    DEFAULT_TTL_SECONDS,
    MAX_TTL_SECONDS,
    NotYourOverlay,
    OverlayNotFound,
    OverlaySessionId,
    ShownOverlay,
)
from tallystick.entrypoints.http.caller_guard import PERMISSION_FOR_OTHERS, CallerGuard
from tallystick.entrypoints.http.fields import OverlayPayload
from tallystick.entrypoints.http.parameters import KEYLESS
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.requests import ApiRequest


class OverlayBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An overlay, and for how many seconds it is shown."""

    payload: OverlayPayload
    """The value that the app shows."""
    ttl_seconds: Annotated[int, msgspec.Meta(ge=1, le=MAX_TTL_SECONDS)] = DEFAULT_TTL_SECONDS


class OverlayView(msgspec.Struct, frozen=True):
    """An overlay that had not ended at `server_time`; both times are of the clock of the database."""

    session_id: OverlaySessionId
    version: int
    """The number of this overlay in its session, from 1."""
    expires_at: datetime
    """The end of the overlay: it is not shown then or later."""
    payload: object
    server_time: datetime


class RemovedOverlayView(msgspec.Struct, frozen=True):
    """The version that was removed."""

    session_id: OverlaySessionId
    version: int
    """The number of the overlay that ended."""


def overlays_router(
    put_one: Single[PutOverlay, ShownOverlay],
    remove_one: Single[RemoveOverlay, RemovedOverlay],
    reads: Reads,
    caller_guard: CallerGuard,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of overlays."""

    @put(
        "/{session_id:str}",
        opt={KEYLESS: True, PERMISSION_FOR_OTHERS: "overlays:manage", FAILURES: (NotYourOverlay, BoundReached)},
    )
    async def put_overlay(request: ApiRequest, session_id: FromPath[str], data: JSONBody[OverlayBody]) -> OverlayView:
        """Show an overlay in a session, instead of the one that is shown. It ends by itself.

        The session belongs to the user who puts its first overlay. Other users need `overlays:manage`.
        """
        command = PutOverlay(
            OverlaySessionId(session_id),
            request.user.user_id,
            uuid_v7(clock.now(), randomness.bytes(RANDOM_BYTES)),
            msgspec.json.encode(data.payload).decode(),
            data.ttl_seconds,
            request.user.may("overlays:manage"),
        )
        return wire_overlay(await put_one(command))

    @get("/{session_id:str}", opt={FAILURES: (OverlayNotFound,)})
    async def get_overlay(session_id: FromPath[str]) -> OverlayView:
        """Return the overlay of a session, until it ends; never at `expires_at` or later."""
        wanted = OverlaySessionId(session_id)
        shown = (await reads(lambda stores: stores.overlays.shown([wanted]))).get(wanted)
        if shown is None:
            raise OverlayNotFound
        return wire_overlay(shown)

    @delete(
        "/{session_id:str}",
        status_code=200,
        opt={PERMISSION_FOR_OTHERS: "overlays:manage", FAILURES: (OverlayNotFound, NotYourOverlay)},
    )
    async def remove_overlay(request: ApiRequest, session_id: FromPath[str]) -> RemovedOverlayView:
        """End the overlay of a session now. Users whose session it is not need `overlays:manage`."""
        command = RemoveOverlay(
            OverlaySessionId(session_id),
            request.user.user_id,
            uuid_v7(clock.now(), randomness.bytes(RANDOM_BYTES)),
            request.user.may("overlays:manage"),
        )
        removed = await remove_one(command)
        return RemovedOverlayView(removed.session_id, removed.version)

    return Router(
        "/api/overlays",
        route_handlers=[put_overlay, get_overlay, remove_overlay],
        guards=[caller_guard.guard],
        tags=["Overlays"],
    )


def wire_overlay(shown: ShownOverlay) -> OverlayView:
    """Return an overlay as the wire shows it."""
    payload: object = msgspec.json.decode(shown.payload)
    return OverlayView(shown.session_id, shown.version, shown.expires_at, payload, shown.server_time)
