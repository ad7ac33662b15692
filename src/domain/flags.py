"""Flags: switches of flows, which are changed while the service runs."""

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
            "GET /api/me show the code of the legacy metadata, if that code belongs to the user. It changes only what "
            "is shown."
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
            "Points are credited. When off, the points of rating slips and referrals wait as pending accruals; awards "
            "and batches are refused."
        ),
    )

    default: bool
    """Whether the flag is on before it is switched."""
    meaning: str
    """The effect of the flag when it is on, in one line."""
    locked: str | None
    """Why the flag cannot be switched on; None where it can. A locked flag is kept for callers that know its name."""

    def __new__(cls, name: str, default: bool = False, meaning: str = "", locked: str | None = None) -> Self:
        flag = str.__new__(cls, name)
        flag._value_ = name
        flag.default, flag.meaning, flag.locked = default, meaning, locked
        return flag


Pins = NewType("Pins", dict[Flag, bool])
"""The flags that the environment sets; a stored switch does not change them."""


class FlagNotFound(Refusal):
    """No flag has this name."""

    code = "FLAG_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__(f"there is no such flag; the flags are {', '.join(Flag)}")


class FlagLocked(Refusal):
    """The flag cannot be switched on."""

    code = "FLAG_LOCKED"
    flag: Flag

    def __init__(self, flag: Flag) -> None:
        super().__init__(flag.locked or f"{flag} cannot be switched on")
        self.flag = flag


class FlagPinned(Refusal):
    """The environment sets the flag."""

    code = "FLAG_PINNED"
    flag: Flag

    def __init__(self, flag: Flag) -> None:
        super().__init__(f"the environment pins {flag}: it is switched by TALLYSTICK_FLAGS alone")
        self.flag = flag


class Switch(msgspec.Struct, frozen=True):
    """A stored change of a flag."""

    flag: Flag
    enabled: bool
    updated_at: datetime
    updated_by: str
    """The id of a user, or a name of the command line, which no user can have."""


class FlagState(msgspec.Struct, frozen=True):
    """The state of a flag, with its last change where there was one."""

    name: Flag
    """The name of the flag."""
    enabled: bool
    pinned: bool
    updated_at: datetime | None
    """The time of the last switch; null if there was none."""
    updated_by: str | None


class FlagBook(Protocol):
    """Stored switches; a flag without one has its default."""

    async def all(self) -> dict[Flag, Switch]:
        """Return the stored switches by flag; flags that this version does not know are left out."""

    async def store(self, switches: Sequence[Switch]) -> None:
        """Store switches of different flags, in place of earlier ones, and notify every instance at the commit."""


class Flags(Protocol):
    """The present state of the flags, read without I/O."""

    def enabled(self, flag: Flag) -> bool:
        """Return whether the flow is switched on."""


def flag_named(name: str) -> Flag:
    """Return the flag of a name; FlagNotFound where there is none."""
    try:
        return Flag(name)
    except ValueError:
        raise FlagNotFound from None


def switch(wanted: Switch, before: Switch | None, pins: Pins) -> Switch:
    """Decide a switch; one that changes nothing keeps the author and the time of the earlier one.

    The refusals, in their order: FlagLocked, FlagPinned.
    """
    if wanted.enabled and wanted.flag.locked is not None:
        raise FlagLocked(wanted.flag)
    if wanted.flag in pins:
        raise FlagPinned(wanted.flag)
    return before if before is not None and before.enabled == wanted.enabled else wanted


def state_of(flag: Flag, switched: Switch | None, pins: Pins) -> FlagState:
    """Return the state of a flag: pinned, else as stored, else its default."""
    if flag in pins:
        return FlagState(flag, pins[flag], pinned=True, updated_at=None, updated_by=None)
    if switched is None:
        return FlagState(flag, flag.default, pinned=False, updated_at=None, updated_by=None)
    return FlagState(flag, switched.enabled, False, switched.updated_at, switched.updated_by)
