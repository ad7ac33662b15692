"""Invites: codes with a number of seats; each user takes at most one seat of an invite."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.refusals import Refusal
from tallystick.domain.users import UserId

InviteId = NewType("InviteId", str)

MAX_USES = 1_000_000_000


class InviteNotFound(Refusal):
    """There is no such invite, or the caller must not see it."""

    code = "INVITE_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("there is no such invite")


class InviteExpired(Refusal):
    """The invite has expired."""

    code = "INVITE_EXPIRED"

    def __init__(self) -> None:
        super().__init__("this invite has expired")


class InviteRevoked(Refusal):
    """The invite was revoked."""

    code = "INVITE_REVOKED"

    def __init__(self) -> None:
        super().__init__("this invite was revoked")


class InviteExhausted(Refusal):
    """Every seat is taken."""

    code = "INVITE_EXHAUSTED"

    def __init__(self) -> None:
        super().__init__("every seat of this invite is taken")


class AlreadyUsed(Refusal):
    """The user has a seat already."""

    code = "ALREADY_USED"

    def __init__(self, detail: str = "You have already used this invite code") -> None:
        super().__init__(detail)


class CodeTaken(Refusal):
    """Another invite has this code."""

    code = "CODE_TAKEN"

    def __init__(self) -> None:
        super().__init__("another invite has this code")


class Invite(msgspec.Struct, frozen=True):
    """A code that a number of users may use, once each."""

    invite_id: InviteId
    code: Code
    owner_id: UserId
    max_uses: int
    current_uses: int
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime

    @property
    def remaining(self) -> int:
        """How many seats are free."""
        return max(0, self.max_uses - self.current_uses)

    def refusal(self, at: datetime) -> Refusal | None:
        """Return why the invite cannot be used now; None where it can."""
        if self.expires_at is not None and self.expires_at <= at:
            return InviteExpired()
        if self.revoked_at is not None:
            return InviteRevoked()
        return InviteExhausted() if self.remaining == 0 else None


class SeatKey(NamedTuple):
    """The seat of a user in an invite."""

    invite_id: InviteId
    user_id: UserId


class InviteUse(msgspec.Struct, frozen=True):
    """A seat that was taken, append-only."""

    invite_id: InviteId
    user_id: UserId
    attempt_id: str
    """The attempt that stored it: a retry after a lost connection recognises its own seat."""
    used_at: datetime


class Invites(Protocol):
    """Invites by code, each with a capacity, and their uses."""

    async def add(self, invite: Invite) -> bool:
        """Store a new invite; False where another invite has its code. The same invite stays as it is stored."""

    async def find(self, invite_id: InviteId) -> Invite | None:
        """Return an invite without a lock."""

    async def by_code(self, codes: Collection[Code]) -> dict[Code, Invite]:
        """Return the invites that exist, without a lock."""

    async def lock(self, codes: Collection[Code]) -> dict[Code, Invite]:
        """Lock and return the invites that exist, in code order."""

    async def store(self, invites: Sequence[Invite]) -> None:
        """Replace locked invites."""

    async def seats(
        self, keys: Collection[SeatKey], user_ids: Collection[UserId]
    ) -> tuple[dict[SeatKey, InviteUse], set[UserId]]:
        """Return the taken seats among these, and the deleted users among these."""

    async def record_uses(self, uses: Sequence[InviteUse]) -> None:
        """Store taken seats, and advance the counters of the locked invites."""

    async def uses_of(
        self, invite_id: InviteId, *, after: tuple[datetime, UserId] | None, limit: int
    ) -> list[InviteUse]:
        """Return the taken seats of an invite, oldest first, after (used at, user id)."""


def redeem(
    invite: Invite | None, user_id: UserId, kept: InviteUse | None, *, attempt_id: str, at: datetime
) -> tuple[Invite, InviteUse]:
    """Return the invite with one seat less, and the seat; both unchanged where the same attempt took it before.

    The refusals, in their order: InviteNotFound, AlreadyUsed, InviteExpired, InviteRevoked, InviteExhausted.
    """
    if invite is None:
        raise InviteNotFound
    if kept is not None:
        if kept.attempt_id == attempt_id:
            return invite, kept
        raise AlreadyUsed
    refusal = invite.refusal(at)
    if refusal is not None:
        raise refusal
    taken = msgspec.structs.replace(invite, current_uses=invite.current_uses + 1)
    return taken, InviteUse(invite.invite_id, user_id, attempt_id, at)
