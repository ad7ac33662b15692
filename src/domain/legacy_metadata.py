"""Legacy metadata: imported codes that the code book does not have yet, and the mirror for readers of the old field."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.users import UserId

MirrorDrift = Literal["stale", "missing", "orphaned"]
"""The mirrored code is no longer canonical, is missing, or is a deleted user's."""


class Claim(msgspec.Struct, frozen=True):
    """An imported code, with the user who keeps it."""

    code: Code
    user_id: UserId
    is_canonical: bool
    created_at: datetime
    run: int


class LegacyMetadata(Protocol):
    """The codes of runs that are applied or being applied, without those that the code book has.

    Codes of deleted users are left out, and codes that the code book has for any user, retired ones among them.
    """

    async def resolve(self, codes: Collection[str]) -> dict[str, Claim]:
        """Return the claims on these codes; of several runs, the claims of the first."""

    async def codes_of(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        """Return the code that the legacy field shows: the mirrored one, else the imported canonical one.

        The code book may have that code too, for this user or for another one.
        """

    async def hold(self) -> None:
        """Keep runs from being rolled back until the transaction ends. Call it before users are locked."""

    async def claims_of(self, user_ids: Collection[UserId]) -> dict[UserId, list[Claim]]:
        """Return the claims of each user that the code book lacks, the canonical code first."""

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Create the users whom their run has still to write; the run then leaves them as they are.

        An e-mail address or username stays with its holder; WriteConflict where another user takes one meanwhile.
        """

    async def adopt(self, claims: Sequence[Claim]) -> set[Code]:
        """Store claims of locked users in the code book, and return the codes that were new."""

    async def forget(self, user_ids: Collection[UserId]) -> None:
        """Remove the imported fields that name these persons."""


class MetadataMirror(Protocol):
    """The canonical codes as readers of the legacy field see them."""

    async def users(self, *, after: UserId, limit: int) -> list[UserId]:
        """Return a page of the users who have a legacy field: users of applied runs, and users with a mirrored code."""

    async def drift(self, user_ids: Collection[UserId]) -> dict[UserId, MirrorDrift]:
        """Return the users whose mirrored code is wrong; it is missing only of users with imported codes."""

    async def write(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Mirror the present canonical codes of living users."""

    async def erase(self, user_ids: Collection[UserId]) -> None:
        """Remove the mirrored codes of these users."""


def decide_claims(claims: Sequence[Claim], *, has_canonical: bool) -> list[Claim]:
    """Decide which claim of a user becomes canonical: the first one, where it was canonical and the user has no code.

    Every other claim becomes an alias: a user who lost their canonical code gets a new one, never an older one.
    """
    return [
        msgspec.structs.replace(claim, is_canonical=claim.is_canonical and number == 0 and not has_canonical)
        for number, claim in enumerate(claims)
    ]
