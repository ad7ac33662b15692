"""Drafts: the uncommitted changes of one transaction to one table."""

from collections.abc import Iterator
from typing import Generic, TypeVar

from tallystick.adapters.memory.storable import require_storable

K = TypeVar("K")
V = TypeVar("V")


class Draft(Generic[K, V]):
    """A table of frozen values, with changes that are not committed yet."""

    def __init__(self, committed: dict[K, V]) -> None:
        self._committed = committed
        self._changes: dict[K, V | None] = {}

    def get(self, key: K) -> V | None:
        """Return the value as this transaction sees it; InvalidText for a key that no store can keep."""
        require_storable(key)
        return self._changes[key] if key in self._changes else self._committed.get(key)

    def __contains__(self, key: K) -> bool:
        return self.get(key) is not None

    def put(self, key: K, value: V) -> None:
        """Set a value; InvalidText where no store can keep it."""
        require_storable(key)
        require_storable(value)
        self._changes[key] = value

    def remove(self, key: K) -> None:
        """Remove a value."""
        self._changes[key] = None

    def values(self) -> Iterator[V]:
        """Iterate over every value as this transaction sees it."""
        for key, value in self._committed.items():
            if key not in self._changes:
                yield value
        yield from (value for value in self._changes.values() if value is not None)

    def commit(self) -> None:
        """Make the changes visible to all transactions."""
        for key, value in self._changes.items():
            if value is None:
                self._committed.pop(key, None)
            else:
                self._committed[key] = value
