"""Overlays in memory."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.overlays import MAX_PAYLOAD_BYTES, Overlay, Overlays, OverlaySessionId, ShownOverlay
from tallystick.domain.users import UserId

_MILLISECOND = timedelta(milliseconds=1)


class MemoryOverlays(Overlays):
    """Overlays of one view. Its clock stands for that of a database."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def lock(self, session_ids: Collection[OverlaySessionId]) -> dict[OverlaySessionId, Overlay]:
        self._view.require_writable()
        found = (self._view.overlays.get(session_id) for session_id in sorted(session_ids))
        locked = {overlay.session_id: overlay for overlay in found if overlay}
        self._view.locked_overlays |= locked.keys()
        return locked

    async def claim_ended(self, *, limit: int) -> list[Overlay]:
        self._view.require_writable()
        now = self._view.now()
        over = [(each.expires_at, each) for each in self._view.overlays.values() if each.expires_at is not None]
        claimed = [each for end, each in sorted(over, key=lambda pair: pair[0]) if end <= now][:limit]
        self._view.locked_overlays |= {each.session_id for each in claimed}
        return claimed

    async def add(self, overlays: Sequence[Overlay]) -> None:
        for overlay in overlays:
            if overlay.session_id in self._view.overlays:
                raise ConstraintViolated("session_overlays_pkey")
            self._put(overlay)

    async def replace(self, overlays: Sequence[Overlay]) -> None:
        for overlay in overlays:
            if overlay.session_id not in self._view.locked_overlays:
                raise ConstraintViolated("an overlay is replaced under its lock")
            self._put(overlay)

    def _put(self, overlay: Overlay) -> None:
        self._view.require_writable()
        if (overlay.payload is None) != (overlay.expires_at is None):
            raise ConstraintViolated("session_overlays_ended_are_empty")
        if overlay.payload is not None and len(overlay.payload.encode()) > MAX_PAYLOAD_BYTES:
            raise ConstraintViolated("session_overlays_payload_bounded")
        if overlay.owner_id is None and overlay.expires_at is not None:
            raise ConstraintViolated("session_overlays_shown_have_owners")
        self._view.overlays.put(overlay.session_id, overlay)

    async def shown(self, session_ids: Collection[OverlaySessionId]) -> dict[OverlaySessionId, ShownOverlay]:
        now = self._view.now()
        found = (self._view.overlays.get(session_id) for session_id in set(session_ids))
        return {
            each.session_id: ShownOverlay(each.session_id, each.version, each.expires_at, each.payload, now)
            for each in found
            if each is not None and each.expires_at is not None and each.payload is not None and each.expires_at > now
        }

    async def milliseconds_to_next_end(self) -> int | None:
        ends = [each.expires_at for each in self._view.overlays.values() if each.expires_at is not None]
        return -((self._view.now() - min(ends)) // _MILLISECOND) if ends else None

    async def of_owner(self, owner_id: UserId, *, after: str, limit: int) -> list[OverlaySessionId]:
        found = [
            each.session_id
            for each in self._view.overlays.values()
            if each.owner_id == owner_id and each.session_id > after
        ]
        return sorted(found)[:limit]
