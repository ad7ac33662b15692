"""Flags: flows that can be switched while the service runs."""

from enum import StrEnum
from typing import Protocol


class Flag(StrEnum):
    """Every switch there is."""

    WEBHOOK_ENABLED = "webhook_enabled"
    ENSURE_ON_READ_ENABLED = "ensure_on_read_enabled"
    MINT_IN_REFERRAL_API = "mint_in_referral_api"
    POINTS_ENABLED = "points_enabled"


DEFAULTS: dict[Flag, bool] = {
    Flag.WEBHOOK_ENABLED: True,
    Flag.ENSURE_ON_READ_ENABLED: True,
    Flag.MINT_IN_REFERRAL_API: False,
    Flag.POINTS_ENABLED: True,
}


class Flags(Protocol):
    """The switches as they stand now; asking costs nothing."""

    def enabled(self, flag: Flag) -> bool:
        """Tell whether the flow is switched on."""
