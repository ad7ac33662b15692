"""Passes over the promises in memory."""

from collections.abc import Mapping
from datetime import datetime

from tallystick.adapters.memory.tables import View
from tallystick.application.invariant_passes import InvariantPasses, Pass


class MemoryInvariantPasses(InvariantPasses):
    """The passes of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def all(self) -> Mapping[str, Pass]:
        return {current.promise: current for current in self._view.passes.values()}

    async def put(self, current: Pass, *, instead_of: datetime) -> bool:
        self._view.require_writable()
        stored = self._view.passes.get(current.promise)
        if stored is not None and stored.began_at not in {current.began_at, instead_of}:
            return False
        self._view.passes.put(current.promise, current)
        return True

    async def reset(self, promise: str, *, at: datetime) -> None:
        self._view.require_writable()
        stored = self._view.passes.get(promise)
        if stored is not None:
            self._view.passes.put(promise, stored.reset(at))
