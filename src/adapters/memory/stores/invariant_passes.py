"""Passes over the promises in memory."""

from collections.abc import Mapping

from tallystick.adapters.memory.tables import View
from tallystick.application.invariant_passes import InvariantPasses, Pass


class MemoryInvariantPasses(InvariantPasses):
    """The passes of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def all(self) -> Mapping[str, Pass]:
        return {current.promise: current for current in self._view.passes.values()}

    async def put(self, current: Pass) -> None:
        self._view.require_writable()
        self._view.passes.put(current.promise, current)
