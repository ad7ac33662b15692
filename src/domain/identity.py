"""Identity: who is calling, with which permissions, and what was verified of them."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, Protocol

import msgspec

from domain.refusals import PermissionMissing
from domain.users import UserId

Permission = Literal["profiles:read", "admin:read"]

VerificationSource = Literal["token", "webhook"]


class Principal(msgspec.Struct, frozen=True):
    """The acting user: always the token's subject."""

    user_id: UserId
    permissions: frozenset[str] = frozenset()
    phone_verified: bool = False

    def require(self, permission: Permission) -> None:
        """Raise PermissionMissing for callers without it."""
        if permission not in self.permissions:
            raise PermissionMissing(permission)


class Verification(msgspec.Struct, frozen=True):
    """A phone was verified: a fact that is inserted once, so that it can never be unset."""

    user_id: UserId
    source: VerificationSource
    verified_at: datetime


class Verifications(Protocol):
    """Phone verifications by user; append-only."""

    async def verified(self, user_ids: Collection[UserId]) -> set[UserId]:
        """Return those whose phone was ever verified."""

    async def record(self, verifications: Sequence[Verification]) -> None:
        """Store them; the first one of a user stays."""


class TokenVerifier(Protocol):
    """Bearer tokens of the identity provider, or sessions of our own."""

    async def verify(self, token: str) -> Principal:
        """Return whom a token speaks for; Unauthenticated for anything but a valid one."""
