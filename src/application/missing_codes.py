"""Users who asked for a code, or came by webhook, and still have none."""

from collections.abc import Iterable

from tallystick.application.ports import Clock, Metrics
from tallystick.application.reads import Reads
from tallystick.domain.refusals import Unavailable
from tallystick.domain.users import UserId

MISSING_AFTER_SECONDS = 10.0
FORGOTTEN_AFTER_SECONDS = 900.0
"""A caller who went away after a 503 is not counted for ever; the next request of that user begins anew."""
MAX_USERS = 10_000


class MissingCodes:
    """Remembers which users wait for a code in this process, and measures how many wait for too long."""

    def __init__(self, reads: Reads, clock: Clock, metrics: Metrics) -> None:
        self._reads, self._clock, self._metrics = reads, clock, metrics
        self._since: dict[UserId, float] = {}

    def asked(self, user_id: UserId) -> None:
        """Note that a user is to have a code; the first request counts, and users past the bound are left out."""
        if len(self._since) < MAX_USERS:
            self._since.setdefault(user_id, self._clock.monotonic())

    def answered(self, user_ids: Iterable[UserId]) -> None:
        """Note that these users have a code, or were deleted."""
        for user_id in user_ids:
            self._since.pop(user_id, None)

    async def measure(self) -> None:
        """Set the gauge. Users whom another process gave a code in the meantime are looked up and left out."""
        now = self._clock.monotonic()
        self.answered([user_id for user_id, since in self._since.items() if now - since > FORGOTTEN_AFTER_SECONDS])
        waiting = [user_id for user_id, since in self._since.items() if now - since >= MISSING_AFTER_SECONDS]
        if waiting:
            try:
                found = await self._reads(lambda stores: stores.user_summaries.of(waiting))
            except Unavailable:  # they have no code that anybody could read
                found = {}
            with_code = [user for user, summary in found.items() if summary.code or summary.user.deleted_at]
            self.answered(with_code)
            waiting = [user_id for user_id in waiting if user_id not in set(with_code)]
        self._metrics.gauge("missing_codes", len(waiting))
