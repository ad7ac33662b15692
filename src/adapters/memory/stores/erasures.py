"""Erasures in memory."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.erasures import ErasureBacklog, Erasures
from tallystick.domain.rewards import RewardId
from tallystick.domain.users import UserId


class MemoryErasures(Erasures):
    """The users of a view who are being erased."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def begin(self, user_ids: Collection[UserId], at: datetime) -> None:
        self._view.require_writable()
        for user_id in user_ids:
            user = self._view.users.get(user_id)
            if user is None or user.deleted_at is None:
                raise ConstraintViolated("users_erased_are_deleted")
            if user_id not in self._view.erasing:
                self._view.erasing.put(user_id, (user_id, at))

    async def lock(self, user_id: UserId) -> bool:
        self._view.require_writable()
        return user_id in self._view.erasing

    async def end(self, user_id: UserId) -> None:
        self._view.require_writable()
        self._view.erasing.remove(user_id)

    async def waiting(self, *, after: UserId, limit: int) -> list[UserId]:
        return sorted(user_id for user_id, _ in self._view.erasing.values() if user_id > after)[:limit]

    async def left_behind(self, user_ids: Collection[UserId], *, newest: RewardId) -> set[UserId]:
        held = {key.caller for key, _ in self._view.replies.values()}
        held |= {r.owner_id for r in self._view.rewards.values() if r.active and r.reward_id > newest}
        held |= {member.user_id for member in self._view.members.values() if member.is_present}
        held |= {slot.player_id for roster in self._view.rosters.values() for slot in roster.slots}
        held |= {each.owner_id for each in self._view.overlays.values() if each.owner_id is not None}
        return held & set(user_ids)

    async def backlog(self) -> ErasureBacklog:
        since = [at for _, at in self._view.erasing.values()]
        return ErasureBacklog(len(since), min(since, default=None))
