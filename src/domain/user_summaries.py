"""UserSummaries: one user as every referral route shows them, from one source of truth."""

from collections.abc import Collection
from typing import Protocol

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.users import User, UserId


class UserSummary(msgspec.Struct, frozen=True):
    """A user with everything that other tables say about them, read in one statement."""

    user: User
    code: Code | None
    """The canonical code; None until it was minted."""
    otp_verified: bool
    referred: bool
    """True where somebody invited this user."""
    credits: int
    points: int
    lifetime_points: int


class UserSummaries(Protocol):
    """Reads across the tables that belong to one user."""

    async def of(self, user_ids: Collection[UserId]) -> dict[UserId, UserSummary]:
        """Return the summaries of those who have been seen, deleted ones included."""

    async def by_email(self, email: str) -> UserSummary | None:
        """Return the living user with this e-mail address, compared without regard to case."""

    async def missing_codes(self) -> int:
        """Count the living users without a canonical code."""
