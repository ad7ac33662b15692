"""User summaries: one user as every route shows them."""

from collections.abc import Collection
from typing import Protocol

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.users import User, UserId


class UserSummary(msgspec.Struct, frozen=True):
    """A user with their code, verification, inviter and balances, read in one statement."""

    user: User
    code: Code | None
    """The canonical code; None until it is minted."""
    otp_verified: bool
    referred: bool
    """True where the user has an inviter."""
    credits: int
    points: int
    lifetime_points: int


class UserSummaries(Protocol):
    """Reads across the tables that belong to one user."""

    async def of(self, user_ids: Collection[UserId]) -> dict[UserId, UserSummary]:
        """Return the summaries of the users who exist, including deleted ones."""

    async def by_email(self, email: str) -> UserSummary | None:
        """Return the living user with this e-mail address, compared without regard to case."""
