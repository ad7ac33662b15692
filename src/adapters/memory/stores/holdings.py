"""Holdings in memory."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from datetime import datetime

from tallystick.adapters.memory.tables import View
from tallystick.domain.bounds import CountedName, Holdings
from tallystick.domain.overlays import Overlay
from tallystick.domain.users import UserId


class MemoryHoldings(Holdings):
    """The number of rows that users of a view have. Only one transaction runs at a time, so that no lock is needed."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def lock(self, user_ids: Collection[UserId]) -> None:  # noqa: ARG002  there is nothing to lock
        self._view.require_writable()

    async def count(self, name: CountedName, user_ids: Collection[UserId], *, up_to: int) -> dict[UserId, int]:
        view = self._view
        holders: Mapping[CountedName, Callable[[], Iterator[UserId]]] = {
            "rewards": lambda: (reward.owner_id for reward in view.rewards.values()),
            "aliases": lambda: (entry.user_id for entry in view.codes.values() if not entry.is_canonical),
            "invites": lambda: (invite.owner_id for invite in view.invites.values()),
            "slips": lambda: (slip.player_id for slip in view.slips.values() if slip.state != "closed"),
            "channels": lambda: (channel.owner_id for channel in view.channels.values()),
            "stage_rooms": lambda: (roster.owner_id for roster in view.rosters.values()),
            "overlays": lambda: (o.owner_id for o in view.overlays.values() if o.owner_id and _is_shown(o, view.now())),
            "overlay_sessions": lambda: (each.owner_id for each in view.overlays.values() if each.owner_id),
        }
        held = Counter(holders[name]())
        return {user_id: min(held[user_id], up_to) for user_id in user_ids}


def _is_shown(overlay: Overlay, now: datetime) -> bool:
    return overlay.expires_at is not None and overlay.expires_at > now
