"""Phone verifications in memory."""

from collections.abc import Collection, Sequence

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.identity import Verification, Verifications
from tallystick.domain.users import UserId


class MemoryVerifications(Verifications):
    """The verifications of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def verified(self, user_ids: Collection[UserId]) -> set[UserId]:
        return {user_id for user_id in user_ids if user_id in self._view.verifications}

    async def record(self, verifications: Sequence[Verification]) -> None:
        self._view.require_writable()
        for verification in verifications:
            if verification.user_id not in self._view.users:
                raise ConstraintViolated("phone_verifications_user_fkey")
            if verification.user_id not in self._view.verifications:
                self._view.verifications.put(verification.user_id, verification)
