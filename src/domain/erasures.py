"""Erasures: deleted users whose rows are still being erased, step by step."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple, Protocol

from tallystick.domain.rewards import RewardId
from tallystick.domain.users import UserId


class ErasureBacklog(NamedTuple):
    """How many deleted users still have rows to erase, and since when the first of them has waited."""

    waiting: int
    oldest_since: datetime | None


class Erasures(Protocol):
    """The deleted users whose rows are still being erased."""

    async def begin(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Mark these deleted, locked users as being erased; a user who is marked already stays marked since then."""

    async def lock(self, user_id: UserId) -> bool:
        """Lock a user, and return whether they are still being erased."""

    async def end(self, user_id: UserId) -> None:
        """Remove the mark of a locked user: nothing is left to erase."""

    async def waiting(self, *, after: UserId, limit: int) -> list[UserId]:
        """Return the marked users after `after`, by id, without a lock."""

    async def left_behind(self, user_ids: Collection[UserId], *, newest: RewardId) -> set[UserId]:
        """Return those of these users who still hold rows that a deletion erases.

        These are channels, slots of rosters, sessions of overlays, stored replies, and active rewards with an id above
        `newest`.
        """

    async def backlog(self) -> ErasureBacklog:
        """Return how much is left to do."""
