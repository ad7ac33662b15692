"""Codes that attributed nothing, in memory."""

from collections.abc import Collection

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.referrals import AttributionAttempt, AttributionAttempts
from tallystick.domain.users import UserId


class MemoryAttributionAttempts(AttributionAttempts):
    """The attempts of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def record(self, attempts: Collection[AttributionAttempt], *, keep: int) -> None:
        self._view.require_writable()
        keys = {(attempt.user_id, attempt.code_digest, attempt.reason) for attempt in attempts}
        if len(keys) < len(attempts):
            raise ConstraintViolated("ON CONFLICT DO UPDATE command cannot affect row a second time")
        for attempt in attempts:
            if attempt.user_id not in self._view.users:
                raise ConstraintViolated("attribution_attempts_user_fkey")
            if attempt.reason == "no_code":
                raise ConstraintViolated("attribution_attempts_reason_known")
            self._view.attempts.put((attempt.user_id, attempt.code_digest, attempt.reason), attempt)
        for user_id in {attempt.user_id for attempt in attempts}:
            for beyond in (await self.of(user_id))[keep:]:
                self._view.attempts.remove((user_id, beyond.code_digest, beyond.reason))

    async def of(self, user_id: UserId) -> list[AttributionAttempt]:
        theirs = [attempt for attempt in self._view.attempts.values() if attempt.user_id == user_id]
        return sorted(theirs, key=lambda each: (-each.attempted_at.timestamp(), each.code_digest, each.reason))

    async def forget(self, user_ids: Collection[UserId]) -> None:
        self._view.require_writable()
        for user_id in user_ids:
            for attempt in await self.of(user_id):
                self._view.attempts.remove((user_id, attempt.code_digest, attempt.reason))
