"""Clicked codes in memory."""

from collections.abc import Collection
from datetime import datetime

from tallystick.adapters.memory.tables import View
from tallystick.domain.clicks import ClickedCodes
from tallystick.domain.codes import Code


class MemoryClickedCodes(ClickedCodes):
    """The clicked codes of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def keep(self, codes: Collection[Code], at: datetime) -> set[Code]:
        self._view.require_writable()
        imported = {code for code in codes if code in self._view.imported or self._is_staged(code)}
        for code in imported:
            if code not in self._view.clicked:
                self._view.clicked.put(code, at)
        return imported

    def _is_staged(self, code: Code) -> bool:
        return any(
            claim.code == code and kept_by is None
            for claim, kept_by in self._view.claims.values()
            if self._view.runs.get(claim.run) in {"planned", "applying", "applied"}
        )
