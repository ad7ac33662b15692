"""Bounds inside a transaction: how much more its users may hold, kept current while a batch is decided."""

from collections.abc import Collection

from tallystick.application.transactions import Stores
from tallystick.domain.bounds import BoundReached, CountedName, UserBounds
from tallystick.domain.users import UserId


class Capacity:
    """How much more of one resource users may hold."""

    def __init__(self, name: CountedName, limit: int, held: dict[UserId, int]) -> None:
        self._name, self._limit, self._held = name, limit, held

    @classmethod
    async def open(
        cls,
        stores: Stores,
        name: CountedName,
        user_ids: Collection[UserId],
        bounds: UserBounds,
        *,
        locked: bool = False,
    ) -> "Capacity":
        """Count what these users hold, under a lock on their holdings; `locked` where their rows are locked already."""
        limit = bounds.of(name)
        if not user_ids:
            return cls(name, limit, {})
        if not locked:
            await stores.holdings.lock(user_ids)
        # After the lock, in a separate statement: it sees what the previous holder of the lock committed.
        return cls(name, limit, await stores.holdings.count(name, user_ids, up_to=limit))

    def has_room(self, user_id: UserId) -> bool:
        """True where the user may hold one more."""
        return self._held.get(user_id, 0) < self._limit

    def take(self, user_id: UserId) -> bool:
        """Count one more; False where the user holds as much as one user may."""
        if not self.has_room(user_id):
            return False
        self._held[user_id] = self._held.get(user_id, 0) + 1
        return True

    @property
    def refusal(self) -> BoundReached:
        """The refusal of a user who has reached the bound."""
        return BoundReached(self._name, limit=self._limit)
