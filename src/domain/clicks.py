"""Clicks: which imported codes somebody followed a link with, so that a rollback lets them resolve."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from tallystick.domain.codes import Code


class ClickedCodes(Protocol):
    """Codes that a backfill run brings along, written already or only planned, and that were clicked."""

    async def keep(self, codes: Collection[Code], at: datetime) -> set[Code]:
        """Store the first click of those that a run brings along, and return all of these that are stored now."""
