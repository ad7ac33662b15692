"""Legacy metadata: codes as they were kept before the code book, while a team moves in."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.users import UserId

MirrorDrift = Literal["stale", "missing", "orphaned"]
"""A mirrored code that is not canonical any more, one that is not mirrored, one of a deleted user."""


class Claim(msgspec.Struct, frozen=True):
    """A code that a run brought along for the user who keeps it."""

    code: Code
    user_id: UserId
    is_canonical: bool
    created_at: datetime
    run: int


class LegacyMetadata(Protocol):
    """What runs brought along that are applied or being applied.

    A code that stands in the code book, whoever's and retired or not, is none of it; neither is a deleted user's.
    """

    async def resolve(self, codes: Collection[str]) -> dict[str, Claim]:
        """Return whose these codes were; of several runs, what the first one says."""

    async def codes_of(self, user_ids: Collection[UserId]) -> dict[UserId, Code]:
        """Return the code that the legacy field shows: the mirrored one, else the imported canonical one.

        It may stand in the code book, as whatever it became there.
        """

    async def hold(self) -> None:
        """Keep runs from being rolled back until the transaction ends; to be asked for before users are locked."""

    async def claims_of(self, user_ids: Collection[UserId]) -> dict[UserId, list[Claim]]:
        """Return what each user is still missing in the code book, their canonical code first."""

    async def admit(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Create those who are still to be applied, for then their run does not do it any more.

        An e-mail address or username stays with its holder; WriteConflict where another user takes one meanwhile.
        """

    async def adopt(self, claims: Sequence[Claim]) -> set[Code]:
        """Store claims of locked users in the code book, and return those that were not there."""

    async def forget(self, user_ids: Collection[UserId]) -> None:
        """Drop what runs brought along that names these persons."""


class MetadataMirror(Protocol):
    """The canonical codes as readers of the legacy field are shown them."""

    async def users(self, *, after: UserId, limit: int) -> list[UserId]:
        """Return a page of those whom the legacy field may be read for: users of applied runs, and mirrored ones."""

    async def drift(self, user_ids: Collection[UserId]) -> dict[UserId, MirrorDrift]:
        """Return whose mirrored code is wrong; one is missing where an applied run brought codes for the user."""

    async def write(self, user_ids: Collection[UserId], at: datetime) -> None:
        """Write the present canonical codes of those who live and have one."""

    async def erase(self, user_ids: Collection[UserId]) -> None:
        """Remove what is mirrored of these users."""


def decide_claims(claims: Sequence[Claim], *, has_canonical: bool) -> list[Claim]:
    """Decide which claim of a user becomes canonical: the first one, where it was canonical and the user has no code.

    Every other claim becomes an alias: a user who lost their canonical code gets a new one, never an older one.
    """
    return [
        msgspec.structs.replace(claim, is_canonical=claim.is_canonical and number == 0 and not has_canonical)
        for number, claim in enumerate(claims)
    ]
