"""Flags: flows that can be switched while the service runs, by whom and when, and which of them cannot."""

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import NewType, Protocol, Self

import msgspec

from tallystick.domain.refusals import Refusal


class Flag(StrEnum):
    """Every flag, one row each: its name, its default, what it does when it is on, and the reason of a lock."""

    TABLE_AS_SOT = (
        "table_as_sot",
        True,
        (
            "The code book is the source of truth about codes. When off, and legacy_fallback_enabled on, links and "
            "GET /api/me show the code of the legacy metadata, where it is that user's; nothing else depends on it."
        ),
    )
    WEBHOOK_ENABLED = (
        "webhook_enabled",
        True,
        "Deliveries of the identity provider are accepted. When off, they are answered with 503.",
    )
    MINT_IN_REFERRAL_API = (
        "mint_in_referral_api",
        False,
        "GET /api/referral mints. It never does: this flag cannot be switched on.",
        "mint_in_referral_api cannot be switched on: GET /api/referral never writes",
    )
    ENSURE_ON_READ_ENABLED = (
        "ensure_on_read_enabled",
        True,
        "GET /api/my-referral-link mints a code for a user who has none. When off, it answers pending.",
    )
    LEGACY_FALLBACK_ENABLED = (
        "legacy_fallback_enabled",
        False,
        (
            "A code that the code book lacks is looked for in the imported legacy metadata, changes are mirrored to "
            "it, and it is reconciled each night."
        ),
    )
    POINTS_ENABLED = (
        "points_enabled",
        True,
        (
            "Points are credited. When off, rating slips and referrals wait as pending accruals, awards and batches "
            "are refused."
        ),
    )

    default: bool
    """Whether the flag is on where nobody switched it."""
    meaning: str
    """What the flag does when it is on, in one line."""
    locked: str | None
    """Why the flag cannot be switched on; None where it can. A locked flag is kept for callers that know its name."""

    def __new__(cls, name: str, default: bool = False, meaning: str = "", locked: str | None = None) -> Self:
        flag = str.__new__(cls, name)
        flag._value_ = name
        flag.default, flag.meaning, flag.locked = default, meaning, locked
        return flag


Pins = NewType("Pins", dict[Flag, bool])
"""The flags that the environment decides, whatever is stored."""


class FlagNotFound(Refusal):
    """No flag has this name."""

    code = "FLAG_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__(f"there is no such flag; the flags are {', '.join(Flag)}")


class FlagLocked(Refusal):
    """The flag is one that nobody can switch on."""

    code = "FLAG_LOCKED"

    def __init__(self, flag: Flag) -> None:
        super().__init__(flag.locked or f"{flag} cannot be switched on")
        self.flag = flag


class FlagPinned(Refusal):
    """The environment decides about the flag."""

    code = "FLAG_PINNED"

    def __init__(self, flag: Flag) -> None:
        super().__init__(f"the environment pins {flag}: it is switched by TALLYSTICK_FLAGS alone")
        self.flag = flag


class Switch(msgspec.Struct, frozen=True):
    """A flag as somebody switched it."""

    flag: Flag
    enabled: bool
    updated_at: datetime
    updated_by: str
    """A user's id, or who worked at the command line: a name that no user can have."""


class FlagState(msgspec.Struct, frozen=True):
    """A flag as it stands, and since when and by whom where somebody switched it."""

    name: Flag
    enabled: bool
    pinned: bool
    updated_at: datetime | None
    updated_by: str | None


class FlagBook(Protocol):
    """What was ever switched; a flag that is not in it stands at its default."""

    async def all(self) -> dict[Flag, Switch]:
        """Return what was switched, by flag; what another version knows and this one does not is left out."""

    async def store(self, switches: Sequence[Switch]) -> None:
        """Store switches, each of another flag, in the place of earlier ones, and tell every instance at the commit."""


class Flags(Protocol):
    """The switches as they stand now; asking costs nothing."""

    def enabled(self, flag: Flag) -> bool:
        """Tell whether the flow is switched on."""


def flag_named(name: str) -> Flag:
    """Return the flag of a name; FlagNotFound where there is none."""
    try:
        return Flag(name)
    except ValueError:
        raise FlagNotFound from None


def switch(wanted: Switch, before: Switch | None, pins: Pins) -> Switch:
    """Decide a switch; one that changes nothing keeps who did it first, and when.

    The refusals, in their order: FlagLocked, FlagPinned.
    """
    if wanted.enabled and wanted.flag.locked is not None:
        raise FlagLocked(wanted.flag)
    if wanted.flag in pins:
        raise FlagPinned(wanted.flag)
    return before if before is not None and before.enabled == wanted.enabled else wanted


def state_of(flag: Flag, switched: Switch | None, pins: Pins) -> FlagState:
    """Return how a flag stands: as it is pinned, else as it was switched, else at its default."""
    if flag in pins:
        return FlagState(flag, pins[flag], pinned=True, updated_at=None, updated_by=None)
    if switched is None:
        return FlagState(flag, flag.default, pinned=False, updated_at=None, updated_by=None)
    return FlagState(flag, switched.enabled, False, switched.updated_at, switched.updated_by)
