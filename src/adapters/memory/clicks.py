"""Clicked codes in memory."""

from collections.abc import Collection
from datetime import datetime

from adapters.memory.tables import View
from domain.codes import Code


class MemoryClickedCodes:
    """The clicked codes of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def keep(self, codes: Collection[Code], at: datetime) -> set[Code]:
        self._view.writing()
        written = {code for code in codes if code in self._view.brought}
        for code in written:
            if code not in self._view.clicked:
                self._view.clicked.put(code, at)
        return written
