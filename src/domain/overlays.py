"""Overlays: what a session shows to everyone for a while, in versions that each end exactly once."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.topics import TopicEvent, TopicEventKind, TopicId
from tallystick.domain.users import UserId

OverlaySessionId = NewType("OverlaySessionId", str)

OVERLAYS = TopicId("overlays")
"""The topic of the events of all overlays."""

DEFAULT_TTL_SECONDS = 300
MAX_TTL_SECONDS = 86_400
MAX_PAYLOAD_BYTES = 16 * 1024

OverlayEventKind = Literal["overlay_shown", "overlay_updated", "overlay_expired", "overlay_removed"]
BEGINNINGS: frozenset[TopicEventKind] = frozenset({"overlay_shown", "overlay_updated"})
"""The events that begin a version."""
ENDS: frozenset[TopicEventKind] = frozenset({"overlay_updated", "overlay_expired", "overlay_removed"})
"""The events that end a version; each version has one of them."""


class OverlayNotFound(Refusal):
    """The session has no overlay now."""

    code = "OVERLAY_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("this session has no overlay now")


class NotYourOverlay(Refusal):
    """The session belongs to another user."""

    code = "NOT_YOUR_OVERLAY"

    def __init__(self) -> None:
        super().__init__("another user put the first overlay of this session; the permission overlays:manage is needed")


class Overlay(msgspec.Struct, frozen=True):
    """The last version of the overlay of a session: it is shown, or it has ended."""

    session_id: OverlaySessionId
    owner_id: UserId | None
    """The user who put the first overlay of the session; None once that user was deleted."""
    version: int
    """One more with each overlay that is put; it goes on after an end."""
    payload: str | None
    """A JSON value; None once the version has ended."""
    expires_at: datetime | None
    """The end of the version; None once the version has ended by an event."""


class ShownOverlay(msgspec.Struct, frozen=True):
    """An overlay that had not ended at `server_time`, by the clock of the store."""

    session_id: OverlaySessionId
    version: int
    expires_at: datetime
    payload: str
    server_time: datetime


class OverlayEvent(NamedTuple):
    """An event of an overlay, by the version that it ends and the version that it begins."""

    kind: OverlayEventKind
    ended: int | None
    begun: Overlay | None


class OverlayFacts(msgspec.Struct, frozen=True, omit_defaults=True):
    """The facts of an event of an overlay, without the payload: an event stays, and a payload has an end."""

    session_id: OverlaySessionId
    ended_version: int | None = None
    version: int | None = None
    """The version that the event begins."""
    expires_at: datetime | None = None


class Overlays(Protocol):
    """Overlays by session. They change only under the lock of their row, with the events in the same transaction."""

    async def lock(self, session_ids: Collection[OverlaySessionId]) -> dict[OverlaySessionId, Overlay]:
        """Lock and return the overlays of sessions that ever had one, in key order."""

    async def claim_ended(self, *, limit: int) -> list[Overlay]:
        """Lock and return the first overlays whose end is reached and has no event yet.

        Rows that another transaction has locked are left out: its sweeper ends them, or its command does.
        """

    async def add(self, overlays: Sequence[Overlay]) -> None:
        """Store overlays of new sessions; WriteConflict where another transaction has stored one."""

    async def replace(self, overlays: Sequence[Overlay]) -> None:
        """Store the last versions of locked overlays."""

    async def shown(self, session_ids: Collection[OverlaySessionId]) -> dict[OverlaySessionId, ShownOverlay]:
        """Return the overlays that have not ended. One reading of the clock of the store decides, and is returned."""

    async def milliseconds_to_next_end(self) -> int | None:
        """Return the time to the nearest end without an event, not above 0 where it is reached; None without one."""

    async def of_owner(self, owner_id: UserId, *, after: str, limit: int) -> list[OverlaySessionId]:
        """Return the first sessions behind `after` that belong to a user, by id."""


def end_of(at: datetime, ttl_seconds: int) -> datetime:
    """Return the end of a version that was put at a time, in whole milliseconds, and never later than asked."""
    return at.replace(microsecond=at.microsecond // 1000 * 1000) + timedelta(seconds=ttl_seconds)


def put_overlay(
    held: Overlay | None, wanted: Overlay, *, at: datetime, is_manager: bool
) -> tuple[Overlay, list[OverlayEvent]]:
    """Return the next version of an overlay and its events; NotYourOverlay.

    `wanted` names the caller as the owner. A version whose end is reached expires before the next one begins.
    """
    if held is None:
        begun = msgspec.structs.replace(wanted, version=1)
        return begun, [OverlayEvent("overlay_shown", None, begun)]
    _require_owner(held, wanted.owner_id, is_manager=is_manager)
    begun = msgspec.structs.replace(wanted, version=held.version + 1, owner_id=held.owner_id or wanted.owner_id)
    if held.expires_at is None:
        return begun, [OverlayEvent("overlay_shown", None, begun)]
    if at < held.expires_at:
        return begun, [OverlayEvent("overlay_updated", held.version, begun)]
    return begun, [
        OverlayEvent("overlay_expired", held.version, None),
        OverlayEvent("overlay_shown", None, begun),
    ]


def remove_overlay(
    held: Overlay | None, *, actor_id: UserId, at: datetime, is_manager: bool
) -> tuple[Overlay, list[OverlayEvent]]:
    """Return the overlay without its version that is shown, and its event; OverlayNotFound, NotYourOverlay."""
    if held is None:
        raise OverlayNotFound
    _require_owner(held, actor_id, is_manager=is_manager)
    if held.expires_at is None or at >= held.expires_at:
        raise OverlayNotFound
    return ended(held), [OverlayEvent("overlay_removed", held.version, None)]


def ended(held: Overlay) -> Overlay:
    """Return what is left of an overlay whose version has ended: its number and its owner, without the payload."""
    return msgspec.structs.replace(held, payload=None, expires_at=None)


def _require_owner(held: Overlay, actor_id: UserId | None, *, is_manager: bool) -> None:
    if held.owner_id not in {None, actor_id} and not is_manager:
        raise NotYourOverlay


def version_ref(session_id: OverlaySessionId, version: int) -> str:
    """Return the name of a version in events: an end is stored once for each name."""
    return f"{session_id}#{version}"


def overlay_facts(event: TopicEvent) -> OverlayFacts:
    """Return what an event of an overlay keeps."""
    return msgspec.json.decode(event.payload or "", type=OverlayFacts)


def sessions_begun(events: Collection[TopicEvent]) -> set[OverlaySessionId]:
    """Return the sessions in which events begin a version."""
    return {overlay_facts(event).session_id for event in events if event.kind in BEGINNINGS}


def shown_by(event: TopicEvent, shown: Mapping[OverlaySessionId, ShownOverlay]) -> ShownOverlay | None:
    """Return the overlay that an event began, if it is still shown."""
    facts = overlay_facts(event)
    overlay = shown.get(facts.session_id)
    return overlay if overlay is not None and overlay.version == facts.version else None
