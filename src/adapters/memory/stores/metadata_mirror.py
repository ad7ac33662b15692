"""The mirror of the legacy metadata in memory."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.memory.stores.codes import MemoryReferralCodes
from tallystick.adapters.memory.tables import View
from tallystick.domain.codes import Code
from tallystick.domain.legacy_metadata import MetadataMirror, MirrorDrift
from tallystick.domain.users import UserId


class MemoryMetadataMirror(MetadataMirror):
    """The codes that readers of the legacy field get in a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def users(self, *, after: UserId, limit: int) -> list[UserId]:
        mirrored = {user.user_id for user in self._view.users.values() if user.user_id in self._view.mirrored}
        return sorted(user_id for user_id in mirrored | self._imported() if user_id > after)[:limit]

    async def drift(self, user_ids: Collection[UserId]) -> dict[UserId, MirrorDrift]:
        canonical = await MemoryReferralCodes(self._view).canonical(user_ids)
        kinds = {user_id: self._kind(user_id, canonical.get(user_id)) for user_id in user_ids}
        return {user_id: kind for user_id, kind in kinds.items() if kind is not None}

    def _kind(self, user_id: UserId, canonical: Code | None) -> MirrorDrift | None:
        user, mirrored = self._view.users.get(user_id), mirrored_code(self._view, user_id)
        if user is None:
            return None
        if user.deleted_at is not None:
            return "orphaned" if mirrored is not None else None
        if mirrored is None:
            return "missing" if canonical is not None and user_id in self._imported() else None
        return "stale" if canonical not in {None, mirrored} else None

    async def write(self, user_ids: Collection[UserId], at: datetime) -> None:
        self._view.require_writable()
        for user_id, code in (await MemoryReferralCodes(self._view).canonical(user_ids)).items():
            user = self._view.users.get(user_id)
            if user is not None and user.deleted_at is None:
                self._view.mirrored.put(user_id, (code, at))

    async def erase(self, user_ids: Collection[UserId]) -> None:
        self._view.require_writable()
        for user_id in user_ids:
            self._view.mirrored.remove(user_id)

    def _imported(self) -> set[UserId]:
        return {claim.user_id for claim, _ in self._view.claims.values() if self._view.runs.get(claim.run) == "applied"}


def mirrored_code(view: View, user_id: UserId) -> Code | None:
    """Return the code that readers of the legacy field get for a user."""
    code, _ = view.mirrored.get(user_id) or (None, None)
    return code
