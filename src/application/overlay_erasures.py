"""Overlays of deleted users: ended in steps, each a transaction of bounded size."""

from datetime import datetime

from tallystick.application.overlay_batch import OverlayBatch
from tallystick.application.topics import Appending
from tallystick.application.transactions import Stores
from tallystick.domain.overlays import OVERLAYS
from tallystick.domain.users import UserId

_STEP_OVERLAYS = 100
"""How many overlays one step of an erasure locks at most."""


async def leave_overlays(
    stores: Stores, user_id: UserId, _at: datetime, after: str, _limit: int, appending: Appending
) -> str | None:
    """End the first overlays of a deleted user behind a session; return the last session, None where that was all."""
    sessions = await stores.overlays.of_owner(user_id, after=after, limit=_STEP_OVERLAYS)
    if sessions:
        batch = await OverlayBatch.lock(stores, sessions, appending.randomness)
        batch.disown(user_id)
        await batch.record(stores)
        if batch.has_events:
            appending.changed.add(OVERLAYS)
    return sessions[-1] if len(sessions) == _STEP_OVERLAYS else None
