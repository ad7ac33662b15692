"""Clicks: imported codes whose links were followed; a rollback of the backfill lets them resolve."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from tallystick.domain.codes import Code


class ClickedCodes(Protocol):
    """Clicked codes that a backfill run imported or plans to import."""

    async def keep(self, codes: Collection[Code], at: datetime) -> set[Code]:
        """Store the first click of each code that a run imports, and return which of these codes are stored now."""
